{{/* server.properties, by variables as the image takes them. */}}
{{- define "dev.kafkaProperties" -}}
{{- $kafka := .Values.kafka -}}
{{- $name := printf "%s-kafka" (include "dev.fullname" .) -}}
{{- $copies := ternary 3 1 (gt (int $kafka.brokers) 2) -}}
{{- $least := ternary 2 1 (gt (int $kafka.brokers) 2) -}}
{{- $voters := list -}}
{{- range $i := until (int $kafka.brokers) -}}
{{- $voters = append $voters (printf "%d@%s-%d.%s-brokers.%s.svc.%s:9093" $i $name $i $name $.Release.Namespace $.Values.clusterDomain) -}}
{{- end -}}
CLUSTER_ID: {{ $kafka.clusterId }}
KAFKA_HEAP_OPTS: {{ $kafka.heap | quote }}
KAFKA_PROCESS_ROLES: broker,controller
KAFKA_CONTROLLER_QUORUM_VOTERS: {{ join "," $voters | quote }}
KAFKA_CONTROLLER_LISTENER_NAMES: CONTROLLER
KAFKA_INTER_BROKER_LISTENER_NAME: INTERNAL
KAFKA_LISTENERS: INTERNAL://:9092,CONTROLLER://:9093{{ if $kafka.external.enabled }},EXTERNAL://:9094{{ end }}
KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT,EXTERNAL:PLAINTEXT
KAFKA_LOG_DIRS: /var/lib/kafka/data
KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false'
KAFKA_DEFAULT_REPLICATION_FACTOR: {{ $copies | quote }}
KAFKA_MIN_INSYNC_REPLICAS: {{ $least | quote }}
KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: {{ $copies | quote }}
KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS: '6'
KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: {{ $copies | quote }}
KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: {{ $least | quote }}
KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS: '6'
KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR: {{ $copies | quote }}
KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR: {{ $least | quote }}
KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0'
KAFKA_CONTROLLED_SHUTDOWN_ENABLE: 'true'
# The dead letters take records of 2 MiB.
KAFKA_MESSAGE_MAX_BYTES: '4194304'
KAFKA_REPLICA_FETCH_MAX_BYTES: '4194304'
KAFKA_LOG_CLEANER_DEDUPE_BUFFER_SIZE: '16777216'
{{- range $key, $value := $kafka.properties }}
KAFKA_{{ $key | upper | replace "_" "__" | replace "-" "___" | replace "." "_" }}: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* A broker's number and addresses are made of its pod's name. */}}
{{- define "dev.kafkaStart" -}}
{{- $external := .Values.kafka.external -}}
export KAFKA_NODE_ID="${POD_NAME##*-}"
KAFKA_ADVERTISED_LISTENERS="INTERNAL://$POD_NAME.{{ include "dev.fullname" . }}-kafka-brokers.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:9092"
{{- if $external.enabled }}
KAFKA_ADVERTISED_LISTENERS="$KAFKA_ADVERTISED_LISTENERS,EXTERNAL://{{ $external.host }}:$(({{ int $external.nodePort }} + KAFKA_NODE_ID))"
{{- end }}
export KAFKA_ADVERTISED_LISTENERS
exec /etc/kafka/docker/run
{{- end -}}
