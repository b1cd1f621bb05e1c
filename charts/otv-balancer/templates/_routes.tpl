{{- /* JSON text of routes.json. */ -}}
{{- define "otv-balancer.routes" -}}
{{- $root := . -}}
{{- $upstreams := dict -}}
{{- range $name, $given := .Values.upstreams -}}
{{- $upstream := fromJson (tpl (toJson $given) $root) -}}
{{- with $upstream.service -}}
{{- $namespace := .namespace | default $root.Release.Namespace -}}
{{- if eq $root.Values.discovery.mode "endpointSlices" -}}
{{- $_ := set $upstream "discovery" (dict "endpointSlices" (dict "service" .name "namespace" $namespace "port" (int .port))) -}}
{{- else -}}
{{- $dns := dict "name" (printf "%s.%s.svc.%s." .name $namespace $root.Values.discovery.clusterDomain) "port" (int .port) "interval" $root.Values.discovery.interval -}}
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
{{- $listeners := list (dict "name" "public" "address" (printf "0.0.0.0:%d" (int .Values.ports.public))) -}}
{{- $admin := dict "address" (printf "0.0.0.0:%d" (int .Values.ports.admin)) -}}
{{- $timeouts := dict "drain" .Values.drain -}}
{{- $base := dict "listeners" $listeners "admin" $admin "timeouts" $timeouts "upstreams" $upstreams "routes" $routes -}}
{{- mergeOverwrite $base (deepCopy .Values.config) | toPrettyJson -}}
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
