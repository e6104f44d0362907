{{/* dict "root" $ "component" "api" "pdb" .Values.api.pdb */}}
{{- define "rates.pdb" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "rates.fullname" .root }}-{{ .component }}
  labels:
    {{- include "rates.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ .pdb.maxUnavailable }}
  # A pod that is not ready anyway must not keep a node from being drained.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "rates.selector" . | nindent 6 }}
{{- end -}}

{{/* dict "root" $ "component" "api" "scaling" .Values.api.autoscaling */}}
{{- define "rates.hpa" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "rates.fullname" .root }}-{{ .component }}
  labels:
    {{- include "rates.labels" . | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "rates.fullname" .root }}-{{ .component }}
  minReplicas: {{ .scaling.minReplicas }}
  maxReplicas: {{ .scaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ .scaling.targetCPU }}
  behavior:
    scaleDown:
      # A pod that has gone takes its caches with it: not for a short pause.
      stabilizationWindowSeconds: 300
{{- end -}}
