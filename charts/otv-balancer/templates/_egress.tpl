{{- /* YAML list: what the upstreams of routes.json need to be reached, and name servers that they name. A Service's pods are found in
its namespace; what is elsewhere is reached by its address, or, known by a name only, by its port. */ -}}
{{- define "otv-balancer.egress" -}}
{{- $rules := list -}}
{{- $domain := printf ".svc.%s" .Values.discovery.clusterDomain -}}
{{- range $name, $upstream := (fromJson (include "otv-balancer.routes" .)).upstreams -}}
{{- $found := $upstream.discovery | default dict -}}
{{- range $upstream.endpoints -}}
{{- $host := regexReplaceAll ":[0-9]+$" . "" | trimPrefix "[" | trimSuffix "]" -}}
{{- $rule := dict "ports" (list (dict "port" (regexFind "[0-9]+$" . | int))) -}}
{{- if regexMatch "^[0-9.]+$" $host }}{{ $_ := set $rule "to" (list (dict "ipBlock" (dict "cidr" (printf "%s/32" $host)))) }}{{ end -}}
{{- if contains ":" $host }}{{ $_ := set $rule "to" (list (dict "ipBlock" (dict "cidr" (printf "%s/128" $host)))) }}{{ end -}}
{{- $rules = append $rules $rule -}}
{{- end -}}
{{- $namespace := "" }}{{ $port := 0 -}}
{{- with $found.endpointSlices }}{{ $namespace = .namespace | default $.Release.Namespace }}{{ $port = .port }}{{ end -}}
{{- range list $found.dns $found.srv }}{{ with . -}}
{{- $parts := .name | trimSuffix "." | trimSuffix $domain | splitList "." -}}
{{- if hasSuffix $domain (trimSuffix "." .name) }}{{ $namespace = last $parts }}{{ end -}}
{{- $port = .port -}}
{{- with .resolver -}}
{{- $given := ternary . (printf "%s:53" .) (regexMatch ":[0-9]+$" .) -}}
{{- $number := regexFind "[0-9]+$" $given | int -}}
{{- $rules = append $rules (dict "ports" (list (dict "port" $number "protocol" "UDP") (dict "port" $number "protocol" "TCP"))) -}}
{{- end -}}
{{- end }}{{ end -}}
{{- if $found -}}
{{- $rule := dict -}}
{{- /* SRV records say the ports: they are not known here. */ -}}
{{- with $port }}{{ $_ := set $rule "ports" (list (dict "port" (kindIs "string" . | ternary . (int .)))) }}{{ end -}}
{{- if eq $namespace $.Release.Namespace -}}
{{- $_ := set $rule "to" (list (dict "podSelector" dict)) -}}
{{- else if $namespace -}}
{{- $_ := set $rule "to" (list (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" $namespace)))) -}}
{{- end -}}
{{- $rules = append $rules $rule -}}
{{- end -}}
{{- end -}}
{{- $rules | uniq | toYaml -}}
{{- end }}
