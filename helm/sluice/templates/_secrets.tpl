{{/* Secrets are made by somebody else. They are mounted as files, and the settings are told where. */}}

{{/* Takes root and role; a list in JSON of {variable, path, secret, key}. */}}
{{- define "sluice.secrets" -}}
{{- $values := .root.Values -}}
{{- $answers := has .role (list "gateway" "all-in-one") -}}
{{- $all := list -}}
{{- if ne .role "all-in-one" -}}
{{- $all = concat $all (list
      (dict "variable" "PORTS__INDEX" "path" "index" "secret" ($values.index).existingSecret "key" ($values.index).key)
      (dict "variable" "PORTS__QUEUE" "path" "queue" "secret" ($values.queue).existingSecret "key" ($values.queue).key)) -}}
{{- end -}}
{{- with $values.storage -}}
{{- $all = concat $all (list
      (dict "variable" "S3__ACCESS_KEY_ID" "path" "s3-access-key-id" "secret" .existingSecret "key" .accessKeyIdKey)
      (dict "variable" "S3__SECRET_ACCESS_KEY" "path" "s3-secret-access-key" "secret" .existingSecret "key" .secretAccessKeyKey)) -}}
{{- end -}}
{{- if $answers -}}
{{- with $values.auth -}}
{{- $all = append $all (dict "variable" "AUTH__SECRET" "path" "auth" "secret" .existingSecret "key" .key) -}}
{{- if .previousKey -}}
{{- $all = append $all (dict "variable" "AUTH__PREVIOUS_SECRET" "path" "auth-previous" "secret" .existingSecret "key" .previousKey) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $all = concat $all (list
      (dict "variable" "ADMIN__SECRET" "path" "admin" "secret" ($values.admin).existingSecret "key" ($values.admin).key)
      (dict "variable" "TELEMETRY__OTLP_HEADERS" "path" "otlp-headers" "secret" ($values.telemetryHeaders).existingSecret "key" ($values.telemetryHeaders).key)) -}}
{{- range $name, $tenant := $values.tenants -}}
{{- $variable := printf "TENANTS__%s" (upper $name) -}}
{{- with ($tenant.secrets).postgresPassword -}}
{{- $all = append $all (dict "variable" (printf "%s__POSTGRES__PASSWORD" $variable) "path" (printf "postgres-%s" $name) "secret" .existingSecret "key" .key) -}}
{{- end -}}
{{- with ($tenant.secrets).fhirPassword -}}
{{- $all = append $all (dict "variable" (printf "%s__FHIR__PASSWORD" $variable) "path" (printf "fhir-%s" $name) "secret" .existingSecret "key" .key) -}}
{{- end -}}
{{- end -}}
{{- $there := list -}}
{{- range $all }}{{ if .secret }}{{ $there = append $there . }}{{ end }}{{ end -}}
{{- $there | toJson -}}
{{- end -}}

{{/* Takes root and role: the variables that name the files, as a list in JSON. */}}
{{- define "sluice.secretVariables" -}}
{{- $variables := list -}}
{{- range include "sluice.secrets" . | fromJsonArray -}}
{{- $variables = append $variables (dict "name" (printf "SLUICE_%s_FILE" .variable) "value" (printf "/run/secrets/sluice/%s" .path)) -}}
{{- end -}}
{{- $variables | toJson -}}
{{- end -}}

{{/* Takes root and role. */}}
{{- define "sluice.secretMounts" -}}
{{- if include "sluice.secrets" . | fromJsonArray }}
- name: secrets
  mountPath: /run/secrets/sluice
  readOnly: true
{{- end }}
{{- range $name, $tenant := .root.Values.tenants }}
{{- if (($tenant.secrets).files).existingSecret }}
- name: tenant-{{ $name }}-files
  mountPath: /run/secrets/tenants/{{ $name }}
  readOnly: true
{{- end }}
{{- end }}
{{- if and (.root.Values.gateway.tls).existingSecret (has .role (list "gateway" "all-in-one")) }}
- name: tls
  mountPath: /run/secrets/sluice-tls
  readOnly: true
{{- end }}
{{- end -}}

{{/* Takes root and role. The group of the process may read them, and nobody else. */}}
{{- define "sluice.secretVolumes" -}}
{{- with include "sluice.secrets" . | fromJsonArray }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range . }}
      - secret:
          name: {{ .secret }}
          items:
            - key: {{ .key }}
              path: {{ .path }}
      {{- end }}
{{- end }}
{{- range $name, $tenant := .root.Values.tenants }}
{{- with (($tenant.secrets).files).existingSecret }}
- name: tenant-{{ $name }}-files
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- if has .role (list "gateway" "all-in-one") }}
{{- with (.root.Values.gateway.tls).existingSecret }}
- name: tls
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- end -}}
