{{/* What every pod of this chart has: accepted under Pod Security "restricted". dict "root" $ */}}
{{- define "rates.podCommon" -}}
serviceAccountName: {{ include "rates.serviceAccount" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- range $key := list "runAsUser" "runAsGroup" "fsGroup" }}
  {{- $id := index $.root.Values.podSecurity $key }}
  {{- if not (kindIs "invalid" $id) }}
  {{ $key }}: {{ int64 $id }}
  {{- end }}
  {{- end }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* Of the root, or of a dict with it as "root". */}}
{{- define "rates.containerSecurity" -}}
{{- $root := .root | default . -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ $root.Values.podSecurity.readOnlyRootFilesystem }}
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "rates.mounts" -}}
- name: tmp
  mountPath: /tmp
- name: secrets
  mountPath: /run/secrets/rates
  readOnly: true
{{- end -}}

{{- define "rates.tmpVolume" -}}
- name: tmp
  emptyDir: {}
{{- end -}}

{{/*
Waits, reading only, until the database has the migrations that the image was built with.
dict "root" $ "image" the image "user" the database's user
*/}}
{{- define "rates.waitContainer" -}}
- name: wait
  image: {{ .image }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  command: [node, db/dist/wait.js]
  env:
    {{- include "rates.env" (include "rates.databaseSettings" .) | nindent 4 }}
  resources:
    {{- toYaml .root.Values.migration.resources | nindent 4 }}
  securityContext:
    {{- include "rates.containerSecurity" . | nindent 4 }}
  volumeMounts:
    {{- include "rates.mounts" . | nindent 4 }}
{{- end -}}

{{/* Where pods go: dict "root" $ "component" "api" "values" .Values.api */}}
{{- define "rates.placement" -}}
{{- $selector := include "rates.selector" . -}}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $spread := .values.spread }}
{{- if or $spread.zone $spread.host }}
topologySpreadConstraints:
  {{- range $key, $when := dict "topology.kubernetes.io/zone" $spread.zone "kubernetes.io/hostname" $spread.host }}
  {{- if $when }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: {{ $when }}
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
    # The pods of one version are spread among themselves, or a rollout would leave them crowded.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* dict "port" the management port's name; a start may take 2 minutes, while PostgreSQL or Kafka are away. */}}
{{- define "rates.probes" -}}
startupProbe:
  httpGet: { path: /startupz, port: management }
  periodSeconds: 1
  timeoutSeconds: 3
  failureThreshold: 120
livenessProbe:
  httpGet: { path: /livez, port: management }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: { path: /readyz, port: management }
  periodSeconds: 2
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}

{{/* Never fewer pods than wanted while they are replaced, and one more at the most. */}}
{{- define "rates.rollout" -}}
revisionHistoryLimit: 5
strategy:
  type: RollingUpdate
  rollingUpdate:
    maxUnavailable: 0
    maxSurge: 1
{{- end -}}
