{{- /* The port of an upstream that is a Service. root: the chart's context; name: the upstream; service: what is given. Where no
port is given it is that of the two programs: global.config.server.port, or their defaults. */ -}}
{{- define "otv-balancer.port" -}}
{{- $defaults := dict "core" 3300 "gateway" 3301 -}}
{{- $shared := (((.root.Values.global | default dict).config | default dict).server | default dict).port -}}
{{- $port := .service.port | default (ternary ($shared | default (index $defaults .name)) 0 (hasKey $defaults .name)) -}}
{{- if not (int $port) }}{{ fail (printf "upstreams.%s.service.port is missing" .name) }}{{ end -}}
{{- int $port -}}
{{- end }}

{{- /* JSON text of routes.json. */ -}}
{{- define "otv-balancer.routes" -}}
{{- $root := . -}}
{{- $upstreams := dict -}}
{{- range $name, $given := .Values.upstreams -}}
{{- $upstream := fromJson (tpl (toJson $given) $root) -}}
{{- with $upstream.service -}}
{{- $namespace := .namespace | default $root.Release.Namespace -}}
{{- $port := int (include "otv-balancer.port" (dict "root" $root "name" $name "service" .)) -}}
{{- if eq $root.Values.discovery.mode "endpointSlices" -}}
{{- $_ := set $upstream "discovery" (dict "endpointSlices" (dict "service" .name "namespace" $namespace "port" $port)) -}}
{{- else -}}
{{- $dns := dict "name" (printf "%s.%s.svc.%s." .name $namespace $root.Values.discovery.clusterDomain) "port" $port "interval" $root.Values.discovery.interval -}}
{{- with $root.Values.discovery.resolver }}{{ $_ := set $dns "resolver" . }}{{ end -}}
{{- $_ := set $upstream "discovery" (dict "dns" $dns) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $upstreams $name (omit $upstream "service") -}}
{{- end -}}
{{- $routes := list -}}
{{- $known := list -}}
{{- range ternary .Values.retiredRoutes .Values.routes .Values.coreRetired -}}
{{- $route := deepCopy . -}}
{{- $known = append $known $route.name -}}
{{- range $upstream, $weight := index $root.Values.weights $route.name -}}
{{- if hasKey ($route.split | default dict) $upstream -}}
{{- $_ := set $route.split $upstream (int $weight) -}}
{{- else if int $weight -}}
{{- fail (printf "weights.%s.%s is %d, but the route %s gives nothing to %s%s" $route.name $upstream (int $weight) $route.name $upstream (ternary " once coreRetired is set" "" $root.Values.coreRetired)) -}}
{{- end -}}
{{- end -}}
{{- with $route.split -}}
{{- $sum := 0 }}{{ range $_, $weight := . }}{{ $sum = add $sum (int $weight) }}{{ end -}}
{{- if not $sum }}{{ fail (printf "all weights of the route %s are 0: it would answer 503" $route.name) }}{{ end -}}
{{- end -}}
{{- $routes = append $routes $route -}}
{{- end -}}
{{- range $name, $_ := .Values.weights -}}
{{- if not (has $name $known) }}{{ fail (printf "weights.%s: there is no such route; there are %s" $name (join ", " $known)) }}{{ end -}}
{{- end -}}
{{- /* An upstream that no route names any more, such as the core once it is retired, is not asked for its health either. */ -}}
{{- if .Values.coreRetired -}}
{{- range $name := keys $upstreams -}}
{{- $used := false }}{{ range $routes }}{{ if hasKey (.split | default dict) $name }}{{ $used = true }}{{ end }}{{ end -}}
{{- if not $used }}{{ $_ := unset $upstreams $name }}{{ end -}}
{{- end -}}
{{- end -}}
{{- /* `[::]` takes IPv4 as well, but a node may have IPv6 switched off. */ -}}
{{- $every := ternary "[::]" "0.0.0.0" (eq (include "otv.hasIPv6" .) "true") -}}
{{- $listeners := list (mergeOverwrite (deepCopy .Values.listener) (dict "name" "public" "address" (printf "%s:%d" $every (int .Values.ports.public)))) -}}
{{- if .Values.tls.enabled -}}
{{- if not .Values.tls.secrets }}{{ fail "tls.secrets is empty: name the Secret with the certificate that is shown" }}{{ end -}}
{{- $certificates := list -}}
{{- range .Values.tls.secrets }}{{ $certificates = append $certificates (dict "certificate" (printf "/etc/otv/tls/%s/tls.crt" .) "key" (printf "/etc/otv/tls/%s/tls.key" .)) }}{{ end -}}
{{- $tls := mergeOverwrite (deepCopy .Values.tls.options) (dict "certificates" $certificates) -}}
{{- $listeners = append $listeners (mergeOverwrite (deepCopy .Values.listener) (dict "name" "public-tls" "address" (printf "%s:%d" $every (int .Values.ports.tls)) "tls" $tls)) -}}
{{- end -}}
{{- /* The names of the Service that scrapes go to; any other name is refused, lest a page point its own there. */ -}}
{{- $scraped := printf "%s-metrics" (include "otv.fullname" .) -}}
{{- $namespaced := printf "%s.%s" $scraped .Release.Namespace -}}
{{- $hosts := list $scraped $namespaced (printf "%s.svc" $namespaced) (printf "%s.svc.%s" $namespaced .Values.discovery.clusterDomain) -}}
{{- /* Who reaches the pod's address reads at most; who may run programs in the pod may change. */ -}}
{{- $admin := dict "address" (printf "127.0.0.1:%d" (int .Values.ports.admin)) "observe" (printf "%s:%d" $every (int .Values.ports.observe)) "hosts" (concat $hosts (.Values.admin.hosts | default list)) -}}
{{- $admin = mergeOverwrite (deepCopy .Values.admin) $admin -}}
{{- $timeouts := dict "drain" .Values.drain -}}
{{- $base := dict "listeners" $listeners "admin" $admin "timeouts" $timeouts "upstreams" $upstreams "routes" $routes -}}
{{- if .Values.state.enabled }}{{ $_ := set $base "state" (dict "path" "/var/lib/balancer/state.sqlite") }}{{ end -}}
{{- $mode := include "otv-balancer.clusterMode" . -}}
{{- if ne $mode "none" -}}
{{- $given := ternary .Values.cluster.etcd dict (eq $mode "etcd") -}}
{{- $_ := set $base "cluster" (dict "name" (include "otv-balancer.clusterName" .) $mode $given) -}}
{{- end -}}
{{- mergeOverwrite $base (deepCopy .Values.config) | toPrettyJson -}}
{{- end }}

{{- /* Where the certificates are that listeners show: of the pods, and of the check, which reads them too. */ -}}
{{- define "otv-balancer.tlsMounts" -}}
{{- if .Values.tls.enabled }}
{{- range $index, $secret := .Values.tls.secrets }}
- name: tls-{{ $index }}
  # The folder, so that a certificate that was renewed is seen.
  mountPath: /etc/otv/tls/{{ $secret }}
  readOnly: true
{{- end }}
{{- end }}
{{- end }}

{{- define "otv-balancer.tlsVolumes" -}}
{{- if .Values.tls.enabled }}
{{- range $index, $secret := .Values.tls.secrets }}
- name: tls-{{ $index }}
  secret:
    secretName: {{ $secret }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Where the pods agree: `none`, `kubernetes` or `etcd`. */ -}}
{{- define "otv-balancer.clusterMode" -}}
{{- if ne .Values.cluster.mode "auto" -}}
{{- .Values.cluster.mode -}}
{{- else -}}
{{- $pods := ternary (int .Values.autoscaling.maxReplicas) (int .Values.replicas) .Values.autoscaling.enabled -}}
{{- ternary "kubernetes" "none" (gt $pods 1) -}}
{{- end -}}
{{- end }}

{{- /* Objects are named after it. Of a long name the end tells two releases apart that begin alike. */ -}}
{{- define "otv-balancer.clusterName" -}}
{{- $name := .Values.cluster.name | default (include "otv.fullname" .) -}}
{{- if gt (len $name) 40 }}{{ $name = printf "%s-%s" (trunc 31 $name | trimSuffix "-") (sha256sum $name | trunc 8) }}{{ end -}}
{{- $name -}}
{{- end }}

{{- /* "true" if the pods call the API server. */ -}}
{{- define "otv-balancer.asksAPI" -}}
{{- if or (ne (include "otv-balancer.watched" .) "[]") (eq (include "otv-balancer.clusterMode" .) "kubernetes") }}true{{ end -}}
{{- end }}

{{- /* JSON list: the namespaces whose EndpointSlices are watched. */ -}}
{{- define "otv-balancer.watched" -}}
{{- $namespaces := list -}}
{{- range $_, $upstream := (fromJson (include "otv-balancer.routes" .)).upstreams -}}
{{- with ($upstream.discovery | default dict).endpointSlices -}}
{{- $namespaces = append $namespaces (.namespace | default $.Release.Namespace) -}}
{{- end -}}
{{- end -}}
{{- $namespaces | uniq | sortAlpha | toJson -}}
{{- end }}
