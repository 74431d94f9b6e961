{{/* What the schema cannot say: values that need one another. */}}
{{- define "sluice.demands" -}}
{{- $values := .Values -}}
{{- if not $values.publicUrl -}}
{{- fail "publicUrl is needed: the https:// URL at which clients reach Sluice, without a slash at its end" -}}
{{- end -}}
{{- if not $values.tenants -}}
{{- fail "tenants is needed: at least one, such as tenants.default.settings.source=postgres://sluice@db/fhir?sslmode=require" -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" (include "sluice.fullname" .)) -}}
{{- fail (printf "%q is no name for Services (a letter, then letters, digits and hyphens): set fullnameOverride" (include "sluice.fullname" .)) -}}
{{- end -}}
{{- if eq $values.mode "distributed" -}}
{{- range $name, $part := dict "index" $values.index "queue" $values.queue "auth" $values.auth -}}
{{- if not ($part).existingSecret -}}
{{- fail (printf "%s.existingSecret is needed: the name of a Secret that you have made (docs/KUBERNETES.md says how)" $name) -}}
{{- end -}}
{{- end -}}
{{- if not ($values.storage).uri -}}
{{- fail "storage.uri is needed: s3://BUCKET or s3://BUCKET/PREFIX" -}}
{{- end -}}
{{- end -}}
{{- $ingress := ($values.gateway.ingress).enabled -}}
{{- $route := ($values.gateway.httpRoute).enabled -}}
{{- if and $ingress $route -}}
{{- fail "gateway.ingress and gateway.httpRoute are both enabled: choose one" -}}
{{- end -}}
{{- if and $route (not $values.gateway.httpRoute.parentRefs) -}}
{{- fail "gateway.httpRoute.parentRefs is needed: the Gateway that it hangs on" -}}
{{- end -}}
{{- if and (or $ingress $route) (urlParse $values.publicUrl).path -}}
{{- fail (printf "publicUrl is %s, and gateway.ingress and gateway.httpRoute send on every path as it is, which Sluice would not know with that before it: give it a host of its own, or disable both and let a proxy of yours take the path away" $values.publicUrl) -}}
{{- end -}}
{{- if ($values.test).existingSecret -}}
{{- if not $values.test.clientId -}}
{{- fail "test.clientId is needed beside test.existingSecret: the client whose key it holds" -}}
{{- end -}}
{{- if not (hasKey $values.tenants (default "" $values.test.tenant)) -}}
{{- fail (printf "test.tenant is %q, which is none of tenants: %s" (default "" $values.test.tenant) (keys $values.tenants | sortAlpha | join ", ")) -}}
{{- end -}}
{{- end -}}
{{- range $role := list "gateway" "worker" -}}
{{- with (get $values $role).autoscaling -}}
{{- if and (ne .kind "none") (gt (int .minReplicas) (int .maxReplicas)) -}}
{{- fail (printf "%s.autoscaling.minReplicas is more than maxReplicas" $role) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "sluice.workDemands" . -}}
{{- end -}}

{{/* What every process refuses of times at its start (crates/runtime/src/load.rs), with its defaults for what is not set. */}}
{{- define "sluice.workDemands" -}}
{{- $settings := .Values.settings -}}
{{- $deadline := int $settings.worker.deadline_minutes -}}
{{- $broker := int (default 30 ($settings.amqp).consumer_timeout_minutes) -}}
{{- if gt (mul 2 $deadline) $broker -}}
{{- fail (printf "settings.worker.deadline_minutes is %d: it must be at most half of settings.amqp.consumer_timeout_minutes, which is %d, or the broker takes chunks away that are being exported" $deadline $broker) -}}
{{- end -}}
{{- $tombstone := int (default 60 ($settings.coordinator).tombstone_minutes) -}}
{{- if le $tombstone $deadline -}}
{{- fail (printf "settings.coordinator.tombstone_minutes is %d: it must be more than settings.worker.deadline_minutes, which is %d" $tombstone $deadline) -}}
{{- end -}}
{{- $shortest := int (default 1 $settings.server.shortest_poll_seconds) -}}
{{- $longest := int (default 60 $settings.server.longest_poll_seconds) -}}
{{- if gt $shortest $longest -}}
{{- fail (printf "settings.server.shortest_poll_seconds is %d: it must not be more than longest_poll_seconds, which is %d" $shortest $longest) -}}
{{- end -}}
{{- range $name, $tenant := .Values.tenants -}}
{{- if and (eq (toString $tenant.settings.own_tokens) "false") (not $tenant.settings.issuers) -}}
{{- fail (printf "tenants.%s.settings.own_tokens is false and there are no issuers: nobody could get a token" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
