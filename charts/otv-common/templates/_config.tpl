{{- /* The programs' configuration. */ -}}

{{- /* JSON text: the program's defaults for `server` (server, where it has one); over them the sections of global.config that are named,
and of its `server` the keys that are named (serverKeys); over them the chart's own config. `{{ .Release.Name }}` in the
host of the database or of Redis is the release's name. */ -}}
{{- define "otv.config" -}}
{{- $all := deepCopy ((.root.Values.global | default dict).config | default dict) -}}
{{- $made := dict -}}
{{- with .server }}{{ $_ := set $made "server" (deepCopy .) }}{{ end -}}
{{- range .sections }}{{ if hasKey $all . }}{{ $made = mergeOverwrite $made (dict . (index $all .)) }}{{ end }}{{ end -}}
{{- range .serverKeys }}{{ if hasKey ($all.server | default dict) . }}{{ $_ := set $made.server . (index $all.server .) }}{{ end }}{{ end -}}
{{- $made = mergeOverwrite $made (deepCopy (.root.Values.config | default dict)) -}}
{{- $text := $made | toJson -}}
{{- range list "mongodb" "redis" }}{{ $text = $text | replace (printf "{{ .Release.Name }}-%s" .) (include "otv.nameOf" (list $.root .)) }}{{ end -}}
{{- $text -}}
{{- end }}
