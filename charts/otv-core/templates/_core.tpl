{{- /* JSON text of main.json. */ -}}
{{- define "otv-core.main" -}}
{{- if .Values.retired -}}
{{- dict "server" (dict "port" (int (fromJson (include "otv.config" (dict "root" . "sections" list))).server.port) "enable" false) | toJson -}}
{{- else -}}
{{- include "otv.config" (dict "root" . "sections" (keys ((.Values.global | default dict).config | default dict) | sortAlpha)) -}}
{{- end -}}
{{- end }}

{{- define "otv-core.port" -}}
{{- int (fromJson (include "otv-core.main" .)).server.port -}}
{{- end }}

{{- define "otv-core.ownSecret" -}}
{{- if or .Values.retired (not .Values.existingSecret) }}true{{ end -}}
{{- end }}
