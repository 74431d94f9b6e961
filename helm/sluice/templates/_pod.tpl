{{/* The pod of every role, and what differs between them. */}}

{{/* Takes root and role: its own part of the values. */}}
{{- define "sluice.roleValues" -}}
{{- ternary .root.Values.allInOne (get .root.Values .role) (eq .role "all-in-one") | toJson -}}
{{- end -}}

{{/* What the container runs. */}}
{{- define "sluice.command" -}}
{{- ternary (list "sluice" "serve") (list (printf "sluice-%s" .role)) (eq .role "all-in-one") | toJson -}}
{{- end -}}

{{/*
How long a pod may take to stop, in seconds: the pause before it is told, what it may take to finish what it has in
hand, and some to say goodbye. A worker is given the time of the longest chunk and that of the drain. That is more than it
uses, for it drains while chunks run, and costs nothing: it is gone once it is done.
*/}}
{{- define "sluice.grace" -}}
{{- $settings := .root.Values.settings -}}
{{- $pause := int .root.Values.preStopSeconds -}}
{{- $requests := int $settings.server.drain_seconds -}}
{{- $deadline := mul 60 (int $settings.worker.deadline_minutes) -}}
{{- $chunks := add $deadline (include "sluice.drainSeconds" .root | int) -}}
{{- if eq .role "gateway" -}}
{{ add $pause $requests 15 }}
{{- else if eq .role "coordinator" -}}
{{ add $pause 30 }}
{{- else if eq .role "worker" -}}
{{ add $pause $chunks 15 }}
{{- else -}}
{{ add $pause $requests $chunks 15 }}
{{- end -}}
{{- end -}}

{{- define "sluice.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "sluice.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The admin port opens when everything is, which takes long where an index is built first. */}}
{{- define "sluice.probes" -}}
startupProbe:
  httpGet: { path: /livez, port: admin }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: {{ div (add (int .root.Values.startupSeconds) 4) 5 | max 1 }}
livenessProbe:
  httpGet: { path: /livez, port: admin }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: admin }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
{{- end -}}

{{/* Where pods of a role go: as values say, or over hosts and zones as far as these go round. */}}
{{- define "sluice.placement" -}}
{{- $role := include "sluice.roleValues" . | fromJson -}}
{{- if eq .role "all-in-one" }}
{{- else if kindIs "slice" $role.topologySpreadConstraints }}
{{- with $role.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- else }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "sluice.selectorLabels" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- with $role.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $role.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $role.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $role.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "sluice.container" -}}
{{- $values := .root.Values -}}
{{- $role := include "sluice.roleValues" . | fromJson -}}
name: sluice
image: {{ include "sluice.image" .root }}
imagePullPolicy: {{ $values.image.pullPolicy }}
command: {{ include "sluice.command" . }}
args: [--config, /etc/sluice/sluice.toml]
{{- with concat (include "sluice.secretVariables" . | fromJsonArray) (default (list) $values.extraEnv) (default (list) $role.extraEnv) }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  {{- if has .role (list "gateway" "all-in-one") }}
  - name: http
    containerPort: 8080
  {{- end }}
  - name: admin
    containerPort: 9090
{{ include "sluice.probes" . }}
{{- if gt (int $values.preStopSeconds) 0 }}
# Until every proxy knows that the pod is going.
lifecycle:
  preStop:
    sleep:
      seconds: {{ $values.preStopSeconds }}
{{- end }}
securityContext:
  {{- include "sluice.containerSecurity" . | nindent 2 }}
{{- with $role.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - name: settings
    mountPath: /etc/sluice
    readOnly: true
  - name: tmp
    mountPath: /tmp
  {{- if eq .role "all-in-one" }}
  - name: data
    mountPath: /var/lib/sluice
  {{- end }}
  {{- with include "sluice.secretMounts" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with concat (default (list) $values.extraVolumeMounts) (default (list) $role.extraVolumeMounts) }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Takes root and role; all of it below `template:`. */}}
{{- define "sluice.pod" -}}
{{- $values := .root.Values -}}
{{- $role := include "sluice.roleValues" . | fromJson -}}
metadata:
  labels:
    {{- include "sluice.labels" (merge (dict "extra" (list $role.podLabels $values.podLabels)) .) | nindent 4 }}
  annotations:
    # Other settings, other pods: nothing may stand in the checksum's place.
    {{- $checksum := dict "checksum/settings" (include "sluice.settingsFile" .root | sha256sum) }}
    {{- merge $checksum (default (dict) $role.podAnnotations) (default (dict) $values.podAnnotations) | toYaml | nindent 4 }}
spec:
  serviceAccountName: {{ include "sluice.serviceAccountName" .root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ include "sluice.grace" . }}
  {{- with $values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "sluice.podSecurity" . | nindent 4 }}
  {{- with include "sluice.placement" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  containers:
    - {{ include "sluice.container" . | nindent 6 | trim }}
  volumes:
    - name: settings
      configMap:
        name: {{ include "sluice.fullname" .root }}
    - name: tmp
      emptyDir:
        sizeLimit: {{ $values.tmpSizeLimit }}
    {{- if and (eq .role "all-in-one") (not $values.allInOne.persistence.enabled) }}
    - name: data
      emptyDir: {}
    {{- end }}
    {{- with include "sluice.secretVolumes" . | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with concat (default (list) $values.extraVolumes) (default (list) $role.extraVolumes) }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* Takes root and role: a Deployment. */}}
{{- define "sluice.deployment" -}}
{{- $role := include "sluice.roleValues" . | fromJson -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "sluice.fullname" .root }}-{{ .role }}
  labels:
    {{- include "sluice.labels" . | nindent 4 }}
spec:
  {{- if eq (dig "kind" "none" (default (dict) $role.autoscaling)) "none" }}
  replicas: {{ $role.replicas }}
  {{- end }}
  revisionHistoryLimit: {{ .root.Values.revisionHistoryLimit }}
  # Never fewer than there should be: a new pod is ready before an old one goes.
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  selector:
    matchLabels:
      {{- include "sluice.selectorLabels" . | nindent 6 }}
  template:
    {{- include "sluice.pod" . | nindent 4 }}
{{- end -}}

{{/* Takes root and role: a PodDisruptionBudget, where it is wanted. */}}
{{- define "sluice.disruption" -}}
{{- $role := include "sluice.roleValues" . | fromJson -}}
{{- with $role.podDisruptionBudget }}
{{- if .enabled }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "sluice.fullname" $.root }}-{{ $.role }}
  labels:
    {{- include "sluice.labels" $ | nindent 4 }}
spec:
  maxUnavailable: {{ .maxUnavailable }}
  # A pod that is not ready must not hold up a node that is emptied; what it has in hand it may finish in its grace.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "sluice.selectorLabels" $ | nindent 6 }}
{{- end }}
{{- end }}
{{- end -}}
