{{- /* Whole objects that several charts have. */ -}}

{{- define "otv.autoscaler" -}}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) }}
{{- fail (printf "autoscaling.minReplicas is %d, more than autoscaling.maxReplicas, %d" (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- end }}
{{- if .Values.autoscaling.keda.enabled }}
{{ include "otv.scaledObject" . }}
{{- else }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "otv.fullname" . }}
  labels:
    {{- include "otv.labels" . | nindent 4 }}
  {{- include "otv.annotations" (dict "root" .) | nindent 2 }}
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
    {{- with .Values.autoscaling.metrics }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  behavior:
    {{- include "otv.scalingBehavior" . | nindent 4 }}
{{- end }}
{{- end }}

{{- /* KEDA's autoscaler, which makes a HorizontalPodAutoscaler of its own: a second one would contradict it. */ -}}
{{- define "otv.scaledObject" -}}
{{- if or .Values.autoscaling.requestsPerSecond .Values.autoscaling.metrics }}
{{- fail "autoscaling.keda.enabled: metrics other than the processor's are autoscaling.keda.triggers there, not autoscaling.metrics or requestsPerSecond" }}
{{- end }}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ include "otv.fullname" . }}
  labels:
    {{- include "otv.labels" . | nindent 4 }}
  {{- include "otv.annotations" (dict "root" .) | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "otv.fullname" . }}
  minReplicaCount: {{ .Values.autoscaling.minReplicas }}
  maxReplicaCount: {{ .Values.autoscaling.maxReplicas }}
  {{- with .Values.autoscaling.keda.pollingInterval }}
  pollingInterval: {{ . }}
  {{- end }}
  {{- with .Values.autoscaling.keda.fallback }}
  fallback:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- include "otv.scalingBehavior" . | nindent 8 }}
  triggers:
    - type: cpu
      metricType: Utilization
      metadata:
        value: {{ .Values.autoscaling.cpuPercent | quote }}
    {{- with .Values.autoscaling.keda.triggers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "otv.scalingBehavior" -}}
{{- with .Values.autoscaling.behavior }}
{{- toYaml . }}
{{- else -}}
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
{{- end }}

{{- define "otv.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "otv.accountName" . }}
  labels:
    {{- include "otv.labels" . | nindent 4 }}
  {{- include "otv.annotations" (dict "root" . "own" .Values.serviceAccount.annotations) | nindent 2 }}
automountServiceAccountToken: {{ .Values.mountToken | default false }}
{{- end }}
{{- end }}

{{- define "otv.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "otv.fullname" . }}
  labels:
    {{- include "otv.labels" . | nindent 4 }}
  {{- include "otv.annotations" (dict "root" .) | nindent 2 }}
spec:
  {{- if .Values.podDisruptionBudget.minAvailable }}
  minAvailable: {{ .Values.podDisruptionBudget.minAvailable }}
  {{- else }}
  maxUnavailable: {{ .Values.podDisruptionBudget.maxUnavailable }}
  {{- end }}
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
    {{- include "otv.labelsWith" (dict "root" .root "own" .root.Values.serviceMonitor.labels) | nindent 4 }}
  {{- include "otv.annotations" (dict "root" .root) | nindent 2 }}
spec:
  selector:
    matchLabels:
      {{- include "otv.selectorLabels" .root | nindent 6 }}
      otv/scrape: "true"
  endpoints:
    - port: {{ .port }}
      path: /metrics
      interval: {{ .root.Values.serviceMonitor.interval }}
      {{- with .root.Values.serviceMonitor.scrapeTimeout }}
      scrapeTimeout: {{ . }}
      {{- end }}
      {{- if .honorLabels }}
      honorLabels: true
      {{- end }}
      {{- with .root.Values.serviceMonitor.authorization }}
      authorization:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .root.Values.serviceMonitor.relabelings }}
      relabelings:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .root.Values.serviceMonitor.metricRelabelings }}
      metricRelabelings:
        {{- toYaml . | nindent 8 }}
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
    {{- with mergeOverwrite (deepCopy .root.Values.commonLabels) .root.Values.hookPods.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
    {{- with mergeOverwrite (deepCopy .root.Values.commonAnnotations) .root.Values.hookPods.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext:
    {{- toYaml .root.Values.podSecurityContext | nindent 4 }}
  {{- include "otv.placement" .root | nindent 2 }}
  containers:
    - name: test
      image: {{ include "otv.image" (dict "image" .image "root" .root) }}
      imagePullPolicy: {{ .image.pullPolicy }}
      args: [health, --url, {{ .url | quote }}]
      resources:
        {{- include "otv.resources" .resources | nindent 8 }}
      securityContext:
        {{- toYaml .root.Values.securityContext | nindent 8 }}
{{- end }}

{{- /* Objects that the chart does not know of; texts may hold templates. */ -}}
{{- define "otv.extraObjects" -}}
{{- range .Values.extraObjects }}
---
{{ tpl (toYaml .) $ }}
{{- end }}
{{- end }}

{{- /* Grafana's board of the chart, dashboard.json. root: the chart's context; name: its file in the ConfigMap. */ -}}
{{- define "otv.dashboard" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "otv.fullname" .root }}-dashboard
  labels:
    {{- include "otv.labelsWith" (dict "root" .root "own" (.root.Values.dashboard.labels | default (dict "grafana_dashboard" "1"))) | nindent 4 }}
  {{- include "otv.annotations" (dict "root" .root "own" .root.Values.dashboard.annotations) | nindent 2 }}
data:
  {{ .name }}: {{ .root.Files.Get "dashboard.json" | fromJson | toJson | quote }}
{{- end }}

{{- /* Alerts as an object: without those that are not wanted, each with the labels that are. root: the chart's context; made: the object's
text with all of them. */ -}}
{{- define "otv.rules" -}}
{{- $object := fromYaml .made -}}
{{- $given := .root.Values.prometheusRule -}}
{{- $known := list -}}
{{- $groups := list -}}
{{- range $group := $object.spec.groups -}}
{{- $rules := list -}}
{{- range $rule := $group.rules -}}
{{- $known = append $known ($rule.alert | default "") -}}
{{- if not (has $rule.alert $given.disabled) -}}
{{- if $rule.alert }}{{ $_ := set $rule "labels" (mergeOverwrite (deepCopy $given.alertLabels) ($rule.labels | default dict)) }}{{ end -}}
{{- $rules = append $rules $rule -}}
{{- end -}}
{{- end -}}
{{- with $rules }}{{ $groups = append $groups (mergeOverwrite $group (dict "rules" .)) }}{{ end -}}
{{- end -}}
{{- range $given.disabled -}}
{{- if not (has . $known) }}{{ fail (printf "prometheusRule.disabled: there is no alert %s; there are %s" . (join ", " $known)) }}{{ end -}}
{{- end -}}
{{- $_ := set $object.spec "groups" $groups -}}
{{- if $groups }}{{ toYaml $object }}{{ end -}}
{{- end }}
