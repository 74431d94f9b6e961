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

{{- define "sluice.dnsRule" -}}
- ports:
    - { protocol: UDP, port: 53 }
    - { protocol: TCP, port: 53 }
  {{- with .Values.networkPolicy.egress.dns.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
