{{- /* What pods are made of. */ -}}

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
{{- with ternary .Values.retiredArchitectures .Values.architectures (.Values.retired | default false) -}}
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

{{- /* A container's probes: those of the chart, with what `probes` says over them; another way of asking takes the chart's place, and a
request over HTTP changes the chart's. root: the chart's context; startup, liveness, readiness: the chart's. */ -}}
{{- define "otv.probes" -}}
{{- range $name := list "startup" "liveness" "readiness" }}
{{- $probe := deepCopy (index $ $name) }}
{{- $given := index $.root.Values.probes $name | default dict }}
{{- if or $given.tcpSocket $given.exec $given.grpc }}{{ $probe = omit $probe "httpGet" "tcpSocket" "exec" }}{{ end }}
{{- if $given.httpGet }}{{ $probe = omit $probe "tcpSocket" "exec" }}{{ end }}
{{ $name }}Probe:
  {{- mergeOverwrite $probe (deepCopy $given) | toYaml | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Of a program without a port: the command that says whether it is well, if one is given. */ -}}
{{- define "otv.livenessCommand" -}}
{{- with .Values.livenessCommand }}
livenessProbe:
  exec:
    command:
      {{- toYaml . | nindent 6 }}
  initialDelaySeconds: {{ $.Values.startupSeconds | default 30 }}
  periodSeconds: 30
  timeoutSeconds: 30
  failureThreshold: 6
{{- end }}
{{- end }}

{{- /* How a Deployment's pods are replaced. root: the chart's context; unavailable, surge: how many may be missing, and be too many,
unless `strategy` says otherwise. */ -}}
{{- define "otv.strategy" -}}
{{- .root.Values.strategy | default (dict "type" "RollingUpdate" "rollingUpdate" (dict "maxUnavailable" .unavailable "maxSurge" .surge)) | toYaml -}}
{{- end }}

{{- /* JSON: the authority that the chart's pods believe beside the public ones, its own or that of all; empty without one. */ -}}
{{- define "otv.privateCA" -}}
{{- $shared := (.Values.global | default dict).privateCA | default dict -}}
{{- $own := .Values.privateCA -}}
{{- $given := ternary $own $shared (or (ne $own.existingSecret "") (ne $own.existingConfigMap "")) -}}
{{- if and $given.existingSecret $given.existingConfigMap }}{{ fail "privateCA names a Secret and a ConfigMap: one of them holds the authority" }}{{ end -}}
{{- if or $given.existingSecret $given.existingConfigMap }}{{ toJson $given }}{{ end -}}
{{- end }}

{{- /* root: the chart's context; variable: the one by which the program is told of the file. */ -}}
{{- define "otv.privateCAVariable" -}}
{{- with include "otv.privateCA" .root -}}
- name: {{ $.variable }}
  value: /etc/otv/authority/{{ (fromJson .).key | default "ca.crt" }}
{{- end -}}
{{- end }}

{{- define "otv.privateCAMount" -}}
{{- if include "otv.privateCA" . -}}
- name: authority
  mountPath: /etc/otv/authority
  readOnly: true
{{- end -}}
{{- end }}

{{- define "otv.privateCAVolume" -}}
{{- with include "otv.privateCA" . -}}
{{- $given := fromJson . -}}
- name: authority
  {{- if $given.existingSecret }}
  secret:
    secretName: {{ $given.existingSecret }}
  {{- else }}
  configMap:
    name: {{ $given.existingConfigMap }}
  {{- end }}
{{- end -}}
{{- end }}
