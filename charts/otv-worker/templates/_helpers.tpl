{{- /* The same file in every chart: each chart stands alone, and in the umbrella it does not matter whose copy is used. */ -}}

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
{{- include "otv.nameOf" (list . (include "otv.component" .)) -}}
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
{{ include "otv.podLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* image: one of the chart's images; root: the chart's context. */ -}}
{{- define "otv.image" -}}
{{- $global := .root.Values.global | default dict -}}
{{- printf "%s:%s" .image.repository (.image.tag | default $global.imageTag | default .root.Chart.AppVersion) -}}
{{- end }}

{{- /* Likewise for an image that is not ours: it has releases of its own, so our tag is not its. */ -}}
{{- define "otv.foreignImage" -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .root.Chart.AppVersion) -}}
{{- end }}

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

{{- /* What every pod specification here has. */ -}}
{{- define "otv.podSettings" -}}
serviceAccountName: {{ include "otv.fullname" . }}
automountServiceAccountToken: {{ .Values.mountToken | default false }}
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Over zones and nodes, as far as there are any. */ -}}
{{- define "otv.spread" -}}
{{- if .Values.spread }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    # Not counting the pods that are about to be replaced.
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "otv.selectorLabels" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "otv.autoscaler" -}}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) }}
{{- fail (printf "autoscaling.minReplicas is %d, more than autoscaling.maxReplicas, %d" (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- end }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "otv.fullname" . }}
  labels:
    {{- include "otv.labels" . | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "otv.fullname" . }}
  minReplicas: {{ .Values.autoscaling.minReplicas }}
  maxReplicas: {{ .Values.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ .Values.autoscaling.cpuPercent }}
    {{- with .Values.autoscaling.requestsPerSecond }}
    - type: Pods
      pods:
        metric:
          name: {{ $.Values.autoscaling.requestsMetric }}
        target:
          type: AverageValue
          averageValue: {{ . | quote }}
    {{- end }}
  behavior:
    scaleUp:
      stabilizationWindowSeconds: 0
    scaleDown:
      # A pod that goes takes its connections along: not before the load has been low for a while, and one at a time.
      stabilizationWindowSeconds: 300
      policies:
        - type: Pods
          value: 1
          periodSeconds: 60
{{- end }}

{{- define "otv.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "otv.fullname" . }}
  labels:
    {{- include "otv.labels" . | nindent 4 }}
automountServiceAccountToken: {{ .Values.mountToken | default false }}
{{- end }}

{{- define "otv.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "otv.fullname" . }}
  labels:
    {{- include "otv.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  # A pod that does not serve anyway must not keep a node from being emptied.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "otv.selectorLabels" . | nindent 6 }}
{{- end }}

{{- /* port: name of the Service's port; root: the chart's context; honorLabels: the metrics have a label `endpoint` of
their own, which the operator's (the port's name) would push aside. */ -}}
{{- define "otv.serviceMonitor" -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ include "otv.fullname" .root }}
  labels:
    {{- include "otv.labels" .root | nindent 4 }}
    {{- toYaml .root.Values.serviceMonitor.labels | nindent 4 }}
spec:
  selector:
    matchLabels:
      {{- include "otv.selectorLabels" .root | nindent 6 }}
      otv/scrape: "true"
  endpoints:
    - port: {{ .port }}
      path: /metrics
      interval: {{ .root.Values.serviceMonitor.interval }}
      {{- if .honorLabels }}
      honorLabels: true
      {{- end }}
{{- end }}

{{- /* Names are looked up, nothing else is reached unless the chart says so. */ -}}
{{- define "otv.egressDNS" -}}
- ports:
    {{- range .Values.networkPolicy.dnsPorts }}
    - { port: {{ . }}, protocol: UDP }
    - { port: {{ . }}, protocol: TCP }
    {{- end }}
{{- end }}

{{- /* The pod of `helm test`. image: one of the chart's; resources: its; url: what must answer 200; root: the chart's context. */ -}}
{{- define "otv.testPod" -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ include "otv.fullname" .root }}-test
  labels:
    app.kubernetes.io/name: {{ .root.Chart.Name }}-test
    app.kubernetes.io/instance: {{ .root.Release.Name }}
    # The network policies let it in by this.
    app.kubernetes.io/component: {{ include "otv.component" .root }}-test
    app.kubernetes.io/part-of: otv
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext:
    {{- toYaml .root.Values.podSecurityContext | nindent 4 }}
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: test
      image: {{ include "otv.image" (dict "image" .image "root" .root) }}
      imagePullPolicy: {{ .image.pullPolicy }}
      args: [health, --url, {{ .url | quote }}]
      resources:
        {{- toYaml .resources | nindent 8 }}
      securityContext:
        {{- toYaml .root.Values.securityContext | nindent 8 }}
{{- end }}

{{- define "otv.runbook" -}}
{{ .root.Values.runbookUrl }}#{{ .page }}
{{- end }}
