{{- /* Images. */ -}}

{{- /* image: one of the chart's images; tag: where it names none; root: the chart's context. global.imageRegistry takes the place of
the registry that the repository names, or Docker's, whose official images are in `library` there. */ -}}
{{- define "otv.imageOf" -}}
{{- $repository := .image.repository -}}
{{- with (.root.Values.global | default dict).imageRegistry -}}
{{- $path := regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "" -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) (ternary $path (printf "library/%s" $path) (contains "/" $path)) -}}
{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.image.tag | default .tag) -}}
{{- end -}}
{{- end }}

{{- /* One of ours. */ -}}
{{- define "otv.image" -}}
{{- $tag := (.root.Values.global | default dict).imageTag | default .root.Chart.AppVersion -}}
{{- include "otv.imageOf" (dict "image" .image "tag" $tag "root" .root) -}}
{{- end }}

{{- /* One that is not ours: it has releases of its own, so our tag is not its. */ -}}
{{- define "otv.foreignImage" -}}
{{- include "otv.imageOf" (dict "image" .image "tag" .root.Chart.AppVersion "root" .root) -}}
{{- end }}

{{- /* Likewise, where no tag of it is known here. */ -}}
{{- define "otv.programmeImage" -}}
{{- if not (or .image.tag .image.digest) }}{{ fail "image.tag is empty: the programme's images have releases of their own, which are not ours" }}{{ end -}}
{{- include "otv.imageOf" (dict "image" .image "tag" "" "root" .root) -}}
{{- end }}
