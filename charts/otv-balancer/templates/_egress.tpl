{{- /* YAML list: what the upstreams of routes.json need to be reached, name servers that they name, the
collector of spans and the members of etcd. A Service's pods are found in
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
{{- $config := fromJson (include "otv-balancer.routes" .) -}}
{{- $urls := list -}}
{{- with ($config.tracing | default dict).endpoint }}{{ $urls = append $urls . }}{{ end -}}
{{- range ((($config.cluster | default dict).etcd) | default dict).endpoints }}{{ $urls = append $urls . }}{{ end -}}
{{- range $urls }}{{ $rules = append $rules (fromJson (include "otv-balancer.egressOfURL" (dict "root" $ "url" .))) }}{{ end -}}
{{- $rules | uniq | toYaml -}}
{{- end }}

{{- /* JSON: the rule for a URL of a collector or of etcd. A Service is known by its name in full, or by one without a dot. */ -}}
{{- define "otv-balancer.egressOfURL" -}}
{{- $authority := regexReplaceAll "^https?://([^/]*).*$" .url "${1}" -}}
{{- $port := regexFind ":[0-9]+$" $authority | trimPrefix ":" | default (ternary "443" "80" (hasPrefix "https:" .url)) | int -}}
{{- $host := regexReplaceAll ":[0-9]+$" $authority "" | trimPrefix "[" | trimSuffix "]" | trimSuffix "." -}}
{{- $labels := trimSuffix (printf ".%s" .root.Values.discovery.clusterDomain) $host | splitList "." -}}
{{- $rule := dict "ports" (list (dict "port" $port)) -}}
{{- $namespace := "" -}}
{{- if eq (len $labels) 1 }}{{ $namespace = .root.Release.Namespace }}{{ else if and (eq (len $labels) 3) (eq (last $labels) "svc") }}{{ $namespace = index $labels 1 }}{{ end -}}
{{- if regexMatch "^[0-9.]+$" $host -}}
{{- $_ := set $rule "to" (list (dict "ipBlock" (dict "cidr" (printf "%s/32" $host)))) -}}
{{- else if contains ":" $host -}}
{{- $_ := set $rule "to" (list (dict "ipBlock" (dict "cidr" (printf "%s/128" $host)))) -}}
{{- else if eq $namespace .root.Release.Namespace -}}
{{- $_ := set $rule "to" (list (dict "podSelector" dict)) -}}
{{- else if $namespace -}}
{{- $_ := set $rule "to" (list (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" $namespace)))) -}}
{{- end -}}
{{- toJson $rule -}}
{{- end }}
