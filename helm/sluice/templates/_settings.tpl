{{/* The settings file, made from values. */}}

{{/* Numbers come out of YAML as floats, which the settings would not take for whole ones. */}}
{{- define "sluice.tomlValue" -}}
{{- if kindIs "string" . -}}
{{ toRawJson . }}
{{- else if kindIs "slice" . -}}
{{- $items := list -}}
{{- range . }}{{ $items = append $items (include "sluice.tomlValue" .) }}{{ end -}}
[{{ join ", " $items }}]
{{- else if kindIs "float64" . -}}
{{ printf "%d" (int64 .) }}
{{- else -}}
{{ toString . }}
{{- end -}}
{{- end -}}

{{- define "sluice.tomlKey" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . }}{{ . }}{{ else }}{{ toRawJson . }}{{ end -}}
{{- end -}}

{{/* Takes (dict "table" MAP "path" ""). Values first, then the tables within; null is left out. */}}
{{- define "sluice.toml" -}}
{{- $path := .path -}}
{{- $lines := list -}}
{{- $tables := list -}}
{{- range $key, $value := .table -}}
{{- $name := include "sluice.tomlKey" $key -}}
{{- if kindIs "map" $value -}}
{{- $inner := ternary $name (printf "%s.%s" $path $name) (eq $path "") -}}
{{- $tables = append $tables (include "sluice.toml" (dict "table" $value "path" $inner)) -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $lines = append $lines (printf "%s = %s" $name (include "sluice.tomlValue" $value)) -}}
{{- end -}}
{{- end -}}
{{- if and $path (or $lines (not $tables)) -}}
{{- $lines = prepend $lines (printf "\n[%s]" $path) -}}
{{- end -}}
{{- concat $lines $tables | join "\n" -}}
{{- end -}}

{{/* The most workers that there may be. */}}
{{- define "sluice.mostWorkers" -}}
{{- $worker := .Values.worker -}}
{{- ternary $worker.autoscaling.maxReplicas $worker.replicas (ne $worker.autoscaling.kind "none") | int -}}
{{- end -}}

{{/* All settings that are no secrets, as YAML. What the chart knows better lies over what is in values. */}}
{{- define "sluice.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- $allInOne := eq .Values.mode "all-in-one" -}}
{{- $server := dict "listen" (printf "%s:8080" .Values.listenAddress) "public_url" .Values.publicUrl -}}
{{- if .Values.gateway.tls.existingSecret -}}
{{- $_ := set $server "tls_certificate" "/run/secrets/sluice-tls/tls.crt" -}}
{{- $_ := set $server "tls_key" "/run/secrets/sluice-tls/tls.key" -}}
{{- end -}}
{{- $own := dict
      "data_dir" (ternary "/var/lib/sluice/data" "/tmp/sluice" $allInOne)
      "server" $server
      "admin" (dict "listen" (printf "%s:9090" .Values.listenAddress)) -}}
{{- with .Values.storage.uri }}{{ $_ := set $own "ports" (dict "blobs" .) }}{{ end -}}
{{- if not $allInOne -}}
{{- $slots := int (dig "worker" "slots" 2 $settings) -}}
{{- $window := mul 3 $slots (include "sluice.mostWorkers" . | int) -}}
{{- $settings = mergeOverwrite (dict "coordinator" (dict "window" (max $window 1))) $settings -}}
{{- end -}}
{{- $tenants := dict -}}
{{- range $name, $tenant := .Values.tenants }}{{ $_ := set $tenants $name $tenant.settings }}{{ end -}}
{{- $_ := set $own "tenants" $tenants -}}
{{- mergeOverwrite $settings $own | toYaml -}}
{{- end -}}
