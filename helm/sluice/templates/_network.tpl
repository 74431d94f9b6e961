{{/* Who may talk to whom. */}}

{{/* Takes (dict "direction" "to" "ports" (list 443) "peers" (list)): a rule; no peers means anybody. */}}
{{- define "sluice.networkRule" -}}
- ports:
    {{- range .ports }}
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
  {{- with .peers }}
  {{ $.direction }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* The servers that a role needs, as a list in JSON of names in networkPolicy.egress. */}}
{{- define "sluice.needs" -}}
{{- $needs := dict
      "gateway" (list "redis" "rabbitmq" "storage" "sources" "keySets" "telemetry")
      "coordinator" (list "redis" "rabbitmq" "storage" "sources" "telemetry")
      "worker" (list "redis" "rabbitmq" "storage" "sources" "telemetry")
      "all-in-one" (list "storage" "sources" "keySets" "telemetry") -}}
{{- get $needs .role | toJson -}}
{{- end -}}

{{/*
Where a cloud tells a pod which keys it has: the node's role, and the agent of EKS Pod Identity. By their addresses only,
for whoever else listens on such a port is not meant.
*/}}
{{- define "sluice.metadataRule" -}}
- ports:
    - { protocol: TCP, port: 80 }
  to:
    - ipBlock: { cidr: 169.254.169.254/32 }
    - ipBlock: { cidr: 169.254.170.23/32 }
{{- end -}}

{{- define "sluice.dnsRule" -}}
- ports:
    - { protocol: UDP, port: 53 }
    - { protocol: TCP, port: 53 }
  {{- with .Values.networkPolicy.egress.dns.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
