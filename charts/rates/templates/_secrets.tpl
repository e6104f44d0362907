{{- define "rates.databaseSecret" -}}
{{- .Values.database.existingSecret | default (printf "%s-database" (include "rates.fullname" .)) -}}
{{- end -}}

{{- define "rates.kafkaSecret" -}}
{{- .Values.kafka.sasl.existingSecret | default (printf "%s-kafka" (include "rates.fullname" .)) -}}
{{- end -}}

{{- define "rates.s3Secret" -}}
{{- .Values.s3.existingSecret | default (printf "%s-s3" (include "rates.fullname" .)) -}}
{{- end -}}

{{- define "rates.webhookSecret" -}}
{{- .Values.webhook.existingSecret | default (printf "%s-webhook" (include "rates.fullname" .)) -}}
{{- end -}}

{{/*
One volume with everything secret that a container needs, as files that follow their Secrets: a rotated password is
used by the next connection. dict "root" $ "user" the database's user, if any, "kafka" true "s3" true "webhook" true
*/}}
{{- define "rates.secretsVolume" -}}
{{- $values := .root.Values -}}
- name: secrets
  projected:
    defaultMode: 288 # 0440, which not every YAML reads as octal
    sources:
      {{- with .user }}
      - secret:
          name: {{ include "rates.databaseSecret" $.root }}
          items:
            - { key: {{ (index $values.database.users .).key | quote }}, path: database-password }
      {{- include "rates.caSource" (dict "ca" $values.database.ca "path" "database-ca.crt") | nindent 6 }}
      {{- end }}
      {{- if .kafka }}
      {{- if $values.kafka.sasl.mechanism }}
      - secret:
          name: {{ include "rates.kafkaSecret" .root }}
          items:
            - { key: {{ $values.kafka.sasl.key | quote }}, path: kafka-password }
      {{- end }}
      {{- include "rates.caSource" (dict "ca" $values.kafka.ca "path" "kafka-ca.crt") | nindent 6 }}
      {{- end }}
      {{- if .s3 }}
      {{- if include "rates.s3Keys" .root }}
      - secret:
          name: {{ include "rates.s3Secret" .root }}
          items:
            - { key: {{ $values.s3.accessKeyIdKey | quote }}, path: s3-access-key-id }
            - { key: {{ $values.s3.secretAccessKeyKey | quote }}, path: s3-secret-access-key }
      {{- end }}
      {{- include "rates.caSource" (dict "ca" $values.s3.ca "path" "s3-ca.crt") | nindent 6 }}
      {{- end }}
      {{- if and .webhook (include "rates.webhookSigned" .root) }}
      - secret:
          name: {{ include "rates.webhookSecret" .root }}
          items:
            - { key: {{ $values.webhook.key | quote }}, path: webhook-secret }
      {{- end }}
{{- end -}}

{{- define "rates.caSource" -}}
{{- if .ca.secret }}
- secret:
    name: {{ .ca.secret }}
    items:
      - { key: {{ .ca.key | quote }}, path: {{ .path }} }
{{- else if .ca.configMap }}
- configMap:
    name: {{ .ca.configMap }}
    items:
      - { key: {{ .ca.key | quote }}, path: {{ .path }} }
{{- end }}
{{- end -}}
