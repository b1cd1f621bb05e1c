{{- /* JSON text of the legacy core's main.json: all of global.config, and over it the chart's own. */ -}}
{{- define "otv-core.legacy" -}}
{{- $server := dict "port" 3300 "enable" true -}}
{{- include "otv.config" (dict "root" . "sections" (keys ((.Values.global | default dict).config | default dict) | sortAlpha) "server" $server) -}}
{{- end }}

{{- /* JSON text of main.json. */ -}}
{{- define "otv-core.main" -}}
{{- if .Values.retired -}}
{{- dict "server" (dict "port" (int (fromJson (include "otv-core.legacy" .)).server.port) "enable" false) | toJson -}}
{{- else -}}
{{- include "otv-core.legacy" . -}}
{{- end -}}
{{- end }}

{{- /* What the core answers: `api`, `health` (health checks only) or `nothing` (it has no server). */ -}}
{{- define "otv-core.answers" -}}
{{- $server := (fromJson (include "otv-core.legacy" .)).server -}}
{{- if .Values.retired -}}health
{{- else if not $server.enable -}}nothing
{{- else if $server.onlyHealth -}}health
{{- else -}}api
{{- end -}}
{{- end }}

{{- define "otv-core.port" -}}
{{- int (fromJson (include "otv-core.main" .)).server.port -}}
{{- end }}

{{- define "otv-core.ownSecret" -}}
{{- if or .Values.retired (not .Values.existingSecret) }}true{{ end -}}
{{- end }}

{{- /* Fails unless the legacy server can start with what the chart gives it: it reads all of this without asking. */ -}}
{{- define "otv-core.startable" -}}
{{- $main := fromJson (include "otv-core.legacy" .) -}}
{{- $missing := list -}}
{{- if not (($main.db | default dict).mongo | default dict).uri }}{{ $missing = append $missing "db.mongo.uri" }}{{ end -}}
{{- $chain := $main.global | default dict -}}
{{- if not (hasKey $chain "networkPrefix") }}{{ $missing = append $missing "global.networkPrefix" }}{{ end -}}
{{- if not (or $chain.apiEndpoints (eq (int ($chain.networkPrefix | default 0)) 3)) }}{{ $missing = append $missing "global.apiEndpoints" }}{{ end -}}
{{- if not $chain.candidatesUrl }}{{ $missing = append $missing "global.candidatesUrl" }}{{ end -}}
{{- range list "matrix" "scorekeeper" }}{{ if not (kindIs "map" (index $main .)) }}{{ $missing = append $missing . }}{{ end }}{{ end -}}
{{- if not (kindIs "slice" (.Values.secret.scorekeeper | default dict).nominators) }}{{ $missing = append $missing "secret: scorekeeper.nominators" }}{{ end -}}
{{- if $missing -}}
{{- fail (printf "the legacy core cannot start without %s in its config: give them by global.config, config and secret, or both files in a Secret by existingSecret; retired: true needs none of it" (join ", " $missing)) -}}
{{- end -}}
{{- end }}
