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
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

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
serviceAccountName: {{ include "otv.accountName" . }}
automountServiceAccountToken: {{ .Values.mountToken | default false }}
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- include "otv.placement" . }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.initContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* The account that the pods have: the chart's own, or one that is there. */ -}}
{{- define "otv.accountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "otv.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{- /* Objects that the chart does not know of; texts may hold templates. */ -}}
{{- define "otv.extraObjects" -}}
{{- range .Values.extraObjects }}
---
{{ tpl (toYaml .) $ }}
{{- end }}
{{- end }}

{{- /* Of the pods that hooks make: a mesh that put itself beside their container would keep an upgrade from ending. */ -}}
{{- define "otv.hookLabels" -}}
{{- with .Values.hookPods.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Where a pod may run and what its images are pulled with: of every pod, those of `helm test` and of the check too. */ -}}
{{- define "otv.placement" -}}
{{- $secrets := list -}}
{{- range concat ((.Values.global | default dict).imagePullSecrets | default list) (.Values.imagePullSecrets | default list) -}}
{{- $secrets = append $secrets (ternary (dict "name" .) . (kindIs "string" .)) -}}
{{- end -}}
{{- with $secrets | uniq }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $affinity := deepCopy (.Values.affinity | default dict) -}}
{{- with .Values.architectures -}}
{{- $expression := dict "key" "kubernetes.io/arch" "operator" "In" "values" . -}}
{{- $node := $affinity.nodeAffinity | default dict -}}
{{- $terms := list -}}
{{- range ($node.requiredDuringSchedulingIgnoredDuringExecution | default dict).nodeSelectorTerms | default (list dict) -}}
{{- $terms = append $terms (merge (dict "matchExpressions" (append (.matchExpressions | default list) $expression)) .) -}}
{{- end -}}
{{- $_ := set $node "requiredDuringSchedulingIgnoredDuringExecution" (dict "nodeSelectorTerms" $terms) -}}
{{- $_ := set $affinity "nodeAffinity" $node -}}
{{- end -}}
{{- with $affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Annotations of pods. root: the chart's context; checksum: what replaces them when it changes; ours: the image is one of ours,
which may move under its tag: global.revision replaces them then. */ -}}
{{- define "otv.podAnnotations" -}}
{{- $made := dict -}}
{{- with .checksum }}{{ $_ := set $made "checksum/config" (sha256sum .) }}{{ end -}}
{{- if .ours }}{{ with (.root.Values.global | default dict).revision }}{{ $_ := set $made "otv/revision" . }}{{ end }}{{ end -}}
{{- with mergeOverwrite $made (deepCopy (.root.Values.podAnnotations | default dict)) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* A quantity of Kubernetes as a number. */ -}}
{{- define "otv.quantity" -}}
{{- $text := toString . -}}
{{- $units := dict "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 -}}
{{- $unit := regexFind "[mkMGTPE]i?$|Ki$" $text -}}
{{- mulf (trimSuffix $unit $text | float64) (ternary (index $units ($unit | default "k")) 1.0 (ne $unit "")) | printf "%f" -}}
{{- end }}

{{- /* Resources of a container; a limit of memory that is far from the request is a slip of the unit. */ -}}
{{- define "otv.resources" -}}
{{- $limit := (.limits | default dict).memory -}}
{{- $request := (.requests | default dict).memory -}}
{{- if and $limit $request -}}
{{- $ratio := divf (include "otv.quantity" $limit | float64) (include "otv.quantity" $request | float64) -}}
{{- if lt $ratio 1.0 }}{{ fail (printf "resources: the limit of memory, %v, is below the request, %v" $limit $request) }}{{ end -}}
{{- if gt $ratio 64.0 }}{{ fail (printf "resources: the limit of memory, %v, is more than 64 times the request, %v: a slip of the unit?" $limit $request) }}{{ end -}}
{{- end -}}
{{- toYaml . -}}
{{- end }}

{{- /* Seconds of a duration such as 1.5s, 200ms or 1m, rounded up. */ -}}
{{- define "otv.seconds" -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- $number := trimSuffix $unit . | float64 -}}
{{- mulf $number (index (dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0) $unit) | ceil | int -}}
{{- end }}

{{- /* `true` or nothing: whether the cluster's addresses are, or may be, IPv6. */ -}}
{{- define "otv.hasIPv6" -}}
{{- $global := .Values.global | default dict -}}
{{- if or (has "IPv6" ($global.ipFamilies | default list)) (has ($global.ipFamilyPolicy | default "") (list "PreferDualStack" "RequireDualStack")) }}true{{ end -}}
{{- end }}

{{- /* Of a Service's specification. */ -}}
{{- define "otv.ipFamilies" -}}
{{- $global := .Values.global | default dict -}}
{{- $families := $global.ipFamilies | default list -}}
{{- $policy := $global.ipFamilyPolicy | default (ternary "PreferDualStack" "" (gt (len $families) 1)) -}}
{{- if and (gt (len $families) 1) (eq $policy "SingleStack") }}{{ fail "global.ipFamilies names two families, which ipFamilyPolicy SingleStack does not allow" }}{{ end -}}
{{- with $policy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with $families }}
ipFamilies: {{ toJson . }}
{{- end }}
{{- end }}

{{- /* Over zones and nodes, as far as there are any. */ -}}
{{- define "otv.spread" -}}
{{- if .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml .Values.topologySpreadConstraints | nindent 2 }}
{{- else if .Values.spread }}
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
    {{- with .Values.autoscaling.metrics }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.autoscaling.behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- else }}
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
{{- end }}

{{- define "otv.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "otv.accountName" . }}
  labels:
    {{- include "otv.labels" . | nindent 4 }}
  {{- with .Values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
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
    {{- include "otv.labels" .root | nindent 4 }}
    {{- with .root.Values.serviceMonitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
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
      {{- with .root.Values.serviceMonitor.relabelings }}
      relabelings:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .root.Values.serviceMonitor.metricRelabelings }}
      metricRelabelings:
        {{- toYaml . | nindent 8 }}
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
    {{- include "otv.hookLabels" .root | trim | nindent 4 }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
    {{- with .root.Values.hookPods.annotations }}
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

{{- define "otv.runbook" -}}
{{ .root.Values.runbookUrl }}#{{ .page }}
{{- end }}
