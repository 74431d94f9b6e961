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

{{/* Takes (dict "table" MAP "path" ""). Values first, then the tables within; null, and what is empty, is left out. */}}
{{- define "sluice.toml" -}}
{{- $path := .path -}}
{{- $lines := list -}}
{{- $tables := list -}}
{{- range $key, $value := .table -}}
{{- $name := include "sluice.tomlKey" $key -}}
{{- if kindIs "map" $value -}}
{{- $inner := ternary $name (printf "%s.%s" $path $name) (eq $path "") -}}
{{- with include "sluice.toml" (dict "table" $value "path" $inner) }}{{ $tables = append $tables . }}{{ end -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $lines = append $lines (printf "%s = %s" $name (include "sluice.tomlValue" $value)) -}}
{{- end -}}
{{- end -}}
{{- if and $path $lines -}}
{{- $lines = prepend $lines (printf "\n[%s]" $path) -}}
{{- end -}}
{{- concat $lines $tables | join "\n" -}}
{{- end -}}

{{/* The most workers that there may be. */}}
{{- define "sluice.mostWorkers" -}}
{{- $worker := .Values.worker -}}
{{- $scaling := default (dict "kind" "none") $worker.autoscaling -}}
{{- if eq $scaling.kind "none" }}{{ int $worker.replicas }}{{ else }}{{ int $scaling.maxReplicas }}{{ end -}}
{{- end -}}

{{/*
How long a worker goes on with its chunks after it is told to stop, in seconds. Unless values say it, as long as a chunk
may take: one that is given back is done again from its beginning. All-in-one has a minute, for nobody answers meanwhile.
*/}}
{{- define "sluice.drainSeconds" -}}
{{- $worker := .Values.settings.worker -}}
{{- $set := get $worker "drain_seconds" -}}
{{- if or (kindIs "invalid" $set) (kindIs "string" $set) -}}
{{ ternary 60 (mul 60 (int $worker.deadline_minutes)) (eq .Values.mode "all-in-one") }}
{{- else -}}
{{ int $set }}
{{- end -}}
{{- end -}}

{{/* All settings that are no secrets, as YAML. What the chart knows better lies over what is in values. */}}
{{- define "sluice.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- $allInOne := eq .Values.mode "all-in-one" -}}
{{- $server := dict "listen" (printf "%s:8080" .Values.listenAddress) "public_url" .Values.publicUrl -}}
{{- if (.Values.gateway.tls).existingSecret -}}
{{- $_ := set $server "tls_certificate" "/run/secrets/sluice-tls/tls.crt" -}}
{{- $_ := set $server "tls_key" "/run/secrets/sluice-tls/tls.key" -}}
{{- end -}}
{{- $own := dict
      "data_dir" (ternary "/var/lib/sluice/data" "/tmp/sluice" $allInOne)
      "server" $server
      "worker" (dict "drain_seconds" (include "sluice.drainSeconds" . | int))
      "admin" (dict "listen" (printf "%s:9090" .Values.listenAddress)) -}}
{{- with (.Values.storage).uri }}{{ $_ := set $own "ports" (dict "blobs" .) }}{{ end -}}
{{- if not $allInOne -}}
{{- $slots := int (default 2 $settings.worker.slots) -}}
{{- $window := mul 3 $slots (include "sluice.mostWorkers" . | int) -}}
{{- $settings = mergeOverwrite (dict "coordinator" (dict "window" (max $window 1))) $settings -}}
{{- end -}}
{{- $tenants := dict -}}
{{- range $name, $tenant := .Values.tenants }}{{ $_ := set $tenants $name $tenant.settings }}{{ end -}}
{{- $_ := set $own "tenants" $tenants -}}
{{- mergeOverwrite $settings $own | toYaml -}}
{{- end -}}

{{/* The same as TOML. */}}
{{- define "sluice.settingsFile" -}}
{{- include "sluice.toml" (dict "table" (include "sluice.settings" . | fromYaml) "path" "") -}}
{{- end -}}
