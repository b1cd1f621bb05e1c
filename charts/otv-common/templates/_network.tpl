{{- /* Addresses and name servers. */ -}}

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

{{- /* Of a headless Service, by which pods are found and measured: one family, the first. With two each pod would be found, counted
and measured twice. */ -}}
{{- define "otv.oneFamily" -}}
{{- $global := .Values.global | default dict -}}
{{- if or $global.ipFamilies $global.ipFamilyPolicy }}
ipFamilyPolicy: SingleStack
{{- end }}
{{- with $global.ipFamilies }}
ipFamilies: {{ list (first .) | toJson }}
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

{{- /* Of a program that reaches what its configuration says, outside the cluster too: anything, unless `networkPolicy.egress` says what. */ -}}
{{- define "otv.openEgress" -}}
{{- with .Values.networkPolicy.egress }}
{{- include "otv.egressDNS" $ }}
{{ toYaml . }}
{{- else -}}
- {}
{{- end }}
{{- end }}
