{{/* How workers follow the work. */}}

{{/*
Chunks handed out and chunks that wait for a worker, of all tenants; those of paused tenants wait for an operator and are
not among them. Every coordinator tells of all of them, so the largest figure counts and not the sum. Only those of this
namespace are asked, because one Prometheus may know several installations. Where no coordinator knows, there is no
figure, and the workers stay as many as they are.
*/}}
{{- define "sluice.workQuery" -}}
{{- if .Values.worker.autoscaling.query -}}
{{ .Values.worker.autoscaling.query }}
{{- else -}}
{{- $which := printf "{namespace=%q,job=\"sluice-coordinator\"}" .Release.Namespace -}}
sum(max by (tenant) (export_chunks_outstanding{{ $which }})) + sum(max by (tenant) (export_chunks_backlog{{ $which }}))
{{- end -}}
{{- end -}}

{{/* Up at once, down slowly: a worker that is stopped finishes its chunks first, and the next ones may come meanwhile. */}}
{{- define "sluice.workerBehavior" -}}
{{- if .Values.worker.autoscaling.behavior -}}
{{ toYaml .Values.worker.autoscaling.behavior }}
{{- else -}}
scaleUp:
  stabilizationWindowSeconds: 0
  policies:
    - { type: Percent, value: 100, periodSeconds: 30 }
    - { type: Pods, value: 4, periodSeconds: 30 }
  selectPolicy: Max
scaleDown:
  stabilizationWindowSeconds: 300
  policies:
    - { type: Percent, value: 25, periodSeconds: 60 }
    - { type: Pods, value: 1, periodSeconds: 60 }
  selectPolicy: Max
{{- end -}}
{{- end -}}
