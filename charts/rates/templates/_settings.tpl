{{/* Environment variables, as maps of strings. What is secret is in files. */}}

{{/* dict "root" $ "user" "ingest": where PostgreSQL is, and as whom. */}}
{{- define "rates.databaseSettings" -}}
{{- $database := .root.Values.database -}}
{{- $user := index $database.users .user -}}
DATABASE_URL: {{ printf "postgres://%s@%s:%d/%s" (urlquery $user.name) $database.host (int $database.port) (urlquery $database.name) | quote }}
DATABASE_PASSWORD_FILE: /run/secrets/rates/database-password
{{- if or $database.ca.secret $database.ca.configMap }}
DATABASE_CA_FILE: /run/secrets/rates/database-ca.crt
{{- end }}
{{- end -}}

{{- define "rates.kafkaSettings" -}}
{{- $kafka := .Values.kafka -}}
KAFKA_BROKERS: {{ join "," $kafka.brokers | quote }}
{{- with $kafka.prefix }}
KAFKA_PREFIX: {{ . | quote }}
{{- end }}
{{- if include "rates.kafkaTls" . }}
KAFKA_TLS: 'true'
{{- end }}
{{- if or $kafka.ca.secret $kafka.ca.configMap }}
KAFKA_CA_FILE: /run/secrets/rates/kafka-ca.crt
{{- end }}
{{- with $kafka.sasl.mechanism }}
KAFKA_SASL_MECHANISM: {{ . }}
KAFKA_USERNAME: {{ $kafka.sasl.username | quote }}
KAFKA_PASSWORD_FILE: /run/secrets/rates/kafka-password
{{- end }}
{{- end -}}

{{- define "rates.kafkaTls" -}}
{{- if or .Values.kafka.tls.enabled .Values.kafka.ca.secret .Values.kafka.ca.configMap }}true{{ end -}}
{{- end -}}

{{- define "rates.commonSettings" -}}
{{ include "rates.databaseSettings" . }}
DATABASE_POOL: {{ .root.Values.database.pool | quote }}
{{ include "rates.kafkaSettings" .root }}
LOG_LEVEL: {{ .root.Values.settings.logLevel }}
REVERT_WINDOW_DAYS: {{ .root.Values.settings.revertWindowDays | quote }}
{{- with .root.Values.settings.replyTopics }}
REPLY_TOPICS: {{ join "," . | quote }}
{{- end }}
{{- end -}}

{{/* Large numbers are float64 in templates, which would print them as 4.294967296e+09. */}}
{{- define "rates.apiSettings" -}}
{{- $api := .Values.api -}}
{{ include "rates.commonSettings" (dict "root" . "user" "api") }}
PORT: '8080'
MANAGEMENT_PORT: '8081'
DRAIN_DELAY_SECONDS: {{ $api.drain.delaySeconds | quote }}
DRAIN_SECONDS: {{ $api.drain.seconds | quote }}
UPLOAD_MAX_BYTES: {{ int64 $api.settings.uploadMaxBytes | quote }}
UPLOAD_IDLE_SECONDS: {{ $api.settings.uploadIdleSeconds | quote }}
UPLOADS_AT_ONCE: {{ $api.settings.uploadsAtOnce | quote }}
CHUNKS_AT_ONCE: {{ $api.settings.chunksAtOnce | quote }}
WATCHERS_AT_ONCE: {{ $api.settings.watchersAtOnce | quote }}
{{- with $api.settings.publicUrl }}
PUBLIC_URL: {{ . | quote }}
{{- end }}
{{- with $api.settings.batchLogTemplate }}
BATCH_LOG_TEMPLATE: {{ . | quote }}
{{- end }}
QUERIES: {{ .Values.queries.enabled | quote }}
QUERIES_AT_ONCE: {{ .Values.queries.atOnce | quote }}
ANSWER_MAX_BYTES: {{ int64 .Values.queries.answerMaxBytes | quote }}
CLAIM_HOURS: {{ .Values.claims.hours | quote }}
CLAIM_MAX_BYTES: {{ int64 .Values.claims.maxBytes | quote }}
{{- with .Values.claims.bucket }}
CLAIM_BUCKET: {{ . | quote }}
{{ include "rates.s3Settings" $ }}
{{- end }}
{{- end -}}

{{- define "rates.ingestSettings" -}}
{{- $settings := .Values.ingest.settings -}}
{{ include "rates.commonSettings" (dict "root" . "user" "ingest") }}
MANAGEMENT_PORT: '8082'
DRAIN_SECONDS: {{ .Values.ingest.drain.seconds | quote }}
CHUNK_TIMEOUT_SECONDS: {{ int64 $settings.chunkTimeoutSeconds | quote }}
CHUNKS_TOGETHER: {{ $settings.chunksTogether | quote }}
SESSION_SECONDS: {{ $settings.sessionSeconds | quote }}
COMPACT_AFTER_SECONDS: {{ int64 $settings.compactAfterSeconds | quote }}
PRICE_RETENTION_DAYS: {{ $settings.priceRetentionDays | quote }}
LEDGER_RETENTION_DAYS: {{ $settings.ledgerRetentionDays | quote }}
{{- with .Values.objects.buckets }}
OBJECT_BUCKETS: {{ join "," . | quote }}
OBJECT_LOADS_AT_ONCE: {{ $.Values.objects.loadsAtOnce | quote }}
OBJECT_REFUSED_SECONDS: {{ int64 $.Values.objects.refusedSeconds | quote }}
{{ include "rates.s3Settings" $ }}
{{- end }}
{{- with .Values.webhook.url }}
WEBHOOK_URL: {{ . | quote }}
{{- with $.Values.api.settings.publicUrl }}
PUBLIC_URL: {{ . | quote }}
{{- end }}
{{- end }}
{{- if include "rates.webhookSigned" . }}
WEBHOOK_SECRET_FILE: /run/secrets/rates/webhook-secret
{{- end }}
{{- end -}}

{{/* The migration Job also grants the other roles what they need, and creates topics. */}}
{{- define "rates.migrationSettings" -}}
{{- $users := .Values.database.users -}}
{{ include "rates.databaseSettings" (dict "root" . "user" "migration") }}
GRANT_INGEST_TO: {{ $users.ingest.name | quote }}
GRANT_API_TO: {{ $users.api.name | quote }}
{{- with $users.reader.name }}
GRANT_READ_TO: {{ . | quote }}
{{- end }}
{{- if .Values.kafka.topics.create }}
{{ include "rates.kafkaSettings" . }}
TOPIC_PARTITIONS: {{ .Values.kafka.topics.partitions | quote }}
TOPIC_REPLICATION: {{ .Values.kafka.topics.replication | quote }}
{{- end }}
{{- end -}}

{{- define "rates.importSettings" -}}
{{ include "rates.databaseSettings" (dict "root" . "user" "api") }}
{{ include "rates.kafkaSettings" . }}
{{- if .Values.import.s3.bucket }}
{{ include "rates.s3Settings" . }}
{{- end }}
{{- end -}}

{{- define "rates.s3Settings" -}}
{{- with .Values.s3.endpoint }}
S3_ENDPOINT: {{ . | quote }}
{{- end }}
S3_REGION: {{ .Values.s3.region | default "us-east-1" | quote }}
{{- if include "rates.s3Keys" . }}
S3_ACCESS_KEY_ID_FILE: /run/secrets/rates/s3-access-key-id
S3_SECRET_ACCESS_KEY_FILE: /run/secrets/rates/s3-secret-access-key
{{- end }}
{{- if or .Values.s3.ca.secret .Values.s3.ca.configMap }}
S3_CA_FILE: /run/secrets/rates/s3-ca.crt
{{- end }}
{{- end -}}

{{/* Without keys the account's own are used, as a cloud gives them to pods. */}}
{{- define "rates.s3Keys" -}}
{{- if or .Values.s3.existingSecret .Values.s3.accessKeyId }}true{{ end -}}
{{- end -}}

{{/* dict "root" $ "component" "api", "ingest" or "import": whether its pods ask the object store. */}}
{{- define "rates.usesS3" -}}
{{- $values := .root.Values -}}
{{- $buckets := dict "api" $values.claims.bucket "ingest" $values.objects.buckets "import" (and $values.import.enabled $values.import.s3.bucket) -}}
{{- if index $buckets .component }}true{{ end -}}
{{- end -}}

{{- define "rates.webhookSigned" -}}
{{- if and .Values.webhook.url (or .Values.webhook.existingSecret .Values.webhook.secret) }}true{{ end -}}
{{- end -}}

{{/* A map of variables as a container's list. */}}
{{- define "rates.env" -}}
{{- range $name, $value := fromYaml . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}
