{{/* What the schema cannot say: values that need one another. */}}
{{- define "sluice.demands" -}}
{{- $values := .Values -}}
{{- if not $values.publicUrl -}}
{{- fail "publicUrl is needed: the https:// URL at which clients reach Sluice, without a slash at its end" -}}
{{- end -}}
{{- if not $values.tenants -}}
{{- fail "tenants is needed: at least one, such as tenants.default.settings.source=postgres://sluice@db/fhir?sslmode=require" -}}
{{- end -}}
{{- if eq $values.mode "distributed" -}}
{{- range $name, $part := dict "index" $values.index "queue" $values.queue "auth" $values.auth -}}
{{- if not $part.existingSecret -}}
{{- fail (printf "%s.existingSecret is needed: the name of a Secret that you have made (docs/KUBERNETES.md says how)" $name) -}}
{{- end -}}
{{- end -}}
{{- if not $values.storage.uri -}}
{{- fail "storage.uri is needed: s3://BUCKET or s3://BUCKET/PREFIX" -}}
{{- end -}}
{{- end -}}
{{- if and $values.gateway.ingress.enabled $values.gateway.httpRoute.enabled -}}
{{- fail "gateway.ingress and gateway.httpRoute are both enabled: choose one" -}}
{{- end -}}
{{- if and $values.gateway.httpRoute.enabled (not $values.gateway.httpRoute.parentRefs) -}}
{{- fail "gateway.httpRoute.parentRefs is needed: the Gateway that it hangs on" -}}
{{- end -}}
{{- if and $values.test.existingSecret (not $values.test.clientId) -}}
{{- fail "test.clientId is needed beside test.existingSecret: the client whose key it holds" -}}
{{- end -}}
{{- range $role := list "gateway" "worker" -}}
{{- $scaling := (get $values $role).autoscaling -}}
{{- if and (ne $scaling.kind "none") (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- fail (printf "%s.autoscaling.minReplicas is more than maxReplicas" $role) -}}
{{- end -}}
{{- end -}}
{{- end -}}
