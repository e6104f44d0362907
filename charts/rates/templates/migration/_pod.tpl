{{/* dict "root" $ "image" the image */}}
{{- define "rates.migrationPod" -}}
metadata:
  labels:
    {{- include "rates.podLabels" (dict "root" .root "component" "migrate") | nindent 4 }}
spec:
  {{- include "rates.podCommon" . | nindent 2 }}
  restartPolicy: OnFailure
  containers:
    - name: migrate
      image: {{ .image | quote }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      command: [node, db/dist/main.js]
      env:
        {{- include "rates.env" (include "rates.migrationSettings" .root) | nindent 8 }}
      resources:
        {{- toYaml .root.Values.migration.resources | nindent 8 }}
      securityContext:
        {{- include "rates.containerSecurity" . | nindent 8 }}
      volumeMounts:
        {{- include "rates.mounts" . | nindent 8 }}
  volumes:
    {{- include "rates.tmpVolume" . | nindent 4 }}
    {{- include "rates.secretsVolume" (dict "root" .root "user" "migration" "kafka" .root.Values.kafka.topics.create) | nindent 4 }}
{{- end -}}
