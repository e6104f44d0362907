{{/* dict "root" $ "image" the image */}}
{{- define "rates.importPod" -}}
{{- $import := .root.Values.import -}}
metadata:
  labels:
    {{- include "rates.podLabels" (dict "root" .root "component" "import") | nindent 4 }}
spec:
  {{- include "rates.podCommon" . | nindent 2 }}
  restartPolicy: OnFailure
  initContainers:
    {{- include "rates.waitContainer" (merge (dict "user" "api" "image" (.image | quote)) .) | nindent 4 }}
  containers:
    - name: import
      image: {{ .image | quote }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      command:
        - node
        - db/dist/import.js
        {{- if $import.s3.bucket }}
        - s3://{{ $import.s3.bucket }}/{{ $import.s3.key }}
        {{- else if $import.volumeClaim.name }}
        - /dump/{{ $import.volumeClaim.path }}
        {{- else }}
        - /dump/{{ $import.configMap.key }}
        {{- end }}
      env:
        {{- include "rates.env" (include "rates.importSettings" .root) | nindent 8 }}
      resources:
        {{- toYaml $import.resources | nindent 8 }}
      securityContext:
        {{- include "rates.containerSecurity" . | nindent 8 }}
      volumeMounts:
        {{- include "rates.mounts" . | nindent 8 }}
        {{- if not $import.s3.bucket }}
        - name: dump
          mountPath: /dump
          readOnly: true
        {{- end }}
  volumes:
    {{- include "rates.tmpVolume" . | nindent 4 }}
    {{- include "rates.secretsVolume" (dict "root" .root "user" "api" "kafka" true "s3" $import.s3.bucket) | nindent 4 }}
    {{- if $import.volumeClaim.name }}
    - name: dump
      persistentVolumeClaim:
        claimName: {{ $import.volumeClaim.name }}
        readOnly: true
    {{- else if $import.configMap.name }}
    - name: dump
      configMap:
        name: {{ $import.configMap.name }}
    {{- end }}
{{- end -}}
