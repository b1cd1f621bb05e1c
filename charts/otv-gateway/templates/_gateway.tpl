{{- /* JSON text of main.json. Of the shared `server` section port and cache only: what is meant for the core there, such as
onlyHealth, would take the API away. */ -}}
{{- define "otv-gateway.config" -}}
{{- $server := dict "port" 3301 "enable" true "drain" 1000 -}}
{{- $config := fromJson (include "otv.config" (dict "root" . "sections" (list "db") "server" $server "serverKeys" (list "port" "cache"))) -}}
{{- if not $config.server.enable -}}
{{- fail "config.server.enable is false: a gateway without its API serves nobody; take its weight away, or set enabled: false" -}}
{{- end -}}
{{- if $config.server.onlyHealth -}}
{{- fail "config.server.onlyHealth is true: a gateway without its API serves nobody; take its weight away, or set enabled: false" -}}
{{- end -}}
{{- $db := $config.db | default dict -}}
{{- if not (or .Values.existingSecret .Values.database.existingSecret $db.uri ($db.mongo | default dict).uri) -}}
{{- fail "db.mongo.uri is missing from the config: give it there (global.config or config), or in a Secret (database.existingSecret, existingSecret)" -}}
{{- end -}}
{{- toJson $config -}}
{{- end }}

{{- define "otv-gateway.port" -}}
{{- int (fromJson (include "otv-gateway.config" .)).server.port -}}
{{- end }}

{{- /* JSON list: the ports of the connection string's hosts; databasePort where it is not known here, or names a record. */ -}}
{{- define "otv-gateway.databasePorts" -}}
{{- $db := (fromJson (include "otv-gateway.config" .)).db | default dict -}}
{{- $uri := $db.uri | default ($db.mongo | default dict).uri | default "" -}}
{{- $ports := list -}}
{{- if and (hasPrefix "mongodb://" $uri) (not .Values.existingSecret) (not .Values.database.existingSecret) -}}
{{- $hosts := regexReplaceAll "^([^@/]*@)?([^/?]*).*$" (trimPrefix "mongodb://" $uri) "${2}" -}}
{{- range splitList "," $hosts }}{{ $ports = append $ports (regexFind ":[0-9]+$" . | trimPrefix ":" | default "27017" | int) }}{{ end -}}
{{- end -}}
{{- $ports | default (list (int .Values.networkPolicy.databasePort)) | uniq | toJson -}}
{{- end }}
