{{/* Names and labels. A role is gateway, coordinator, worker, all-in-one or test. */}}

{{/* Short enough for what is put behind it, such as -coordinator-admin. */}}
{{- define "sluice.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 44 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- $full | trunc 44 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What all pods of the release have, and no pod besides. */}}
{{- define "sluice.releaseLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Takes (dict "root" $ "role" "worker"). What the pods of a role have, and no pod besides; it never changes. */}}
{{- define "sluice.selectorLabels" -}}
{{ include "sluice.releaseLabels" .root }}
app.kubernetes.io/component: {{ .role }}
{{- end -}}

{{/* Takes root, and role where an object has one. */}}
{{- define "sluice.labels" -}}
{{- if .role -}}
{{ include "sluice.selectorLabels" . }}
{{- else -}}
{{ include "sluice.releaseLabels" .root }}
{{- end }}
app.kubernetes.io/part-of: sluice
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
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
{{- (urlParse .Values.publicUrl).host | splitList ":" | first -}}
{{- end -}}

{{/* Takes (dict "root" $ "path" "files/rules/sluice.yaml"): the release's name, and what the file is called besides. */}}
{{- define "sluice.nameOfFile" -}}
{{- $file := base .path | trimSuffix (ext .path) | trimPrefix "sluice" | trimPrefix "-" -}}
{{- list (include "sluice.fullname" .root) $file | compact | join "-" -}}
{{- end -}}
