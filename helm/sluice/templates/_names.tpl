{{/* Names and labels. A role is gateway, coordinator, worker, all-in-one or test. */}}

{{/* Short enough for what is put behind it, such as -coordinator-admin. */}}
{{- define "sluice.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- $full | trunc 44 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What all pods of the release have, and no pod besides. */}}
{{- define "sluice.releaseLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Takes (dict "root" $ "role" "worker"). What the pods of a role have, and no pod besides; it never changes. */}}
{{- define "sluice.selectorLabels" -}}
{{ include "sluice.releaseLabels" .root }}
app.kubernetes.io/component: {{ .role }}
{{- end -}}

{{/*
Takes root; role where an object has one; own, labels of the chart's that something is selected by; extra, a list of
labels that values give to this object. One map comes of it, for a key must not stand twice in YAML: first what something
is selected by or is Helm's, then extra in its order, commonLabels, and last what only informs.
*/}}
{{- define "sluice.labels" -}}
{{- $labels := dict -}}
{{- if .role -}}
{{- $labels = include "sluice.selectorLabels" . | fromYaml -}}
{{- else -}}
{{- $labels = include "sluice.releaseLabels" .root | fromYaml -}}
{{- end -}}
{{- $owned := dict "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $informs := dict
      "app.kubernetes.io/part-of" "sluice"
      "app.kubernetes.io/version" .root.Chart.AppVersion
      "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") -}}
{{- range concat (list $owned .own) (default (list) .extra) (list .root.Values.commonLabels $informs) -}}
{{- if . }}{{ $labels = merge $labels . }}{{ end -}}
{{- end -}}
{{- toYaml $labels -}}
{{- end -}}

{{- define "sluice.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sluice.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "sluice.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The roles that run, as a list in JSON. */}}
{{- define "sluice.roles" -}}
{{- ternary (list "all-in-one") (list "gateway" "coordinator" "worker") (eq .Values.mode "all-in-one") | toJson -}}
{{- end -}}

{{/* The role that answers clients. */}}
{{- define "sluice.front" -}}
{{- ternary "all-in-one" "gateway" (eq .Values.mode "all-in-one") -}}
{{- end -}}

{{/* The host that clients know. */}}
{{- define "sluice.host" -}}
{{- (urlParse (default "" .Values.publicUrl)).host | splitList ":" | first -}}
{{- end -}}

{{/* Takes (dict "root" $ "path" "files/rules/sluice.yaml"): the release's name, and what the file is called besides. */}}
{{- define "sluice.nameOfFile" -}}
{{- $file := base .path | trimSuffix (ext .path) | trimPrefix "sluice" | trimPrefix "-" -}}
{{- list (include "sluice.fullname" .root) $file | compact | join "-" -}}
{{- end -}}
