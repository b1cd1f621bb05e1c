{{- /* Names and labels. */ -}}

{{- define "otv.component" -}}
{{- trimPrefix "otv-" .Chart.Name -}}
{{- end }}

{{- /* list ROOT COMPONENT: the name of a part of this release. At most 52 characters: a StatefulSet's pods carry it with ten more
in a label. The release's name gives way, so that no two parts ever have one name. */ -}}
{{- define "otv.nameOf" -}}
{{- $release := (index . 0).Release.Name | replace "." "-" -}}
{{- $component := index . 1 -}}
{{- printf "%s-%s" ($release | trunc (int (sub 51 (len $component))) | trimSuffix "-") $component -}}
{{- end }}

{{- define "otv.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- if gt (len .Values.fullnameOverride) 52 }}{{ fail (printf "fullnameOverride %s is longer than 52 characters" .Values.fullnameOverride) }}{{ end -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $name := include "otv.nameOf" (list . (include "otv.component" .)) -}}
{{- if not (regexMatch "^[a-z]" $name) }}{{ fail (printf "the release's name, %s, does not begin with a letter, as names of Services must: choose another" .Release.Name) }}{{ end -}}
{{- $name -}}
{{- end -}}
{{- end }}

{{- define "otv.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Without a version: a new chart alone replaces no pod. */ -}}
{{- define "otv.podLabels" -}}
{{ include "otv.selectorLabels" . }}
app.kubernetes.io/component: {{ include "otv.component" . }}
app.kubernetes.io/part-of: otv
{{- end }}

{{- define "otv.labels" -}}
{{ include "otv.labelsWith" (dict "root" .) }}
{{- end }}

{{- /* root: the chart's context; own: what the object has of its own, which goes before the common ones. None of the chart's own keys:
the schemas refuse those. */ -}}
{{- define "otv.labelsWith" -}}
{{ include "otv.podLabels" .root }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with mergeOverwrite (deepCopy (.root.Values.commonLabels | default dict)) (deepCopy (.own | default dict)) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Of an object. root: the chart's context; own: what the object has of its own, which goes before the common ones. */ -}}
{{- define "otv.annotations" -}}
{{- with mergeOverwrite (deepCopy (.root.Values.commonAnnotations | default dict)) (deepCopy (.own | default dict)) -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end }}

{{- define "otv.runbook" -}}
{{ .root.Values.runbookUrl }}#{{ .page }}
{{- end }}
