{{/*
The resilience of what was installed, line by line: "+" good, "-" whoever reads it may want to change it, with what.
A plain yes or no per line, from values alone: what the cluster makes of it is not known here.
*/}}
{{- define "rates.grade" -}}
{{ ternary "  +" "  -" (not (not .good)) }} {{ .what | printf "%-12s" }} {{ if .good }}{{ .good }}{{ else }}{{ .bad }}{{ end }}
{{ end -}}

{{/* How many pods there are at least: a number, whoever owns it. */}}
{{- define "rates.apiPods" -}}
{{- if .Values.api.autoscaling.enabled }}{{ .Values.api.autoscaling.minReplicas }}{{ else }}{{ .Values.api.replicas }}{{ end -}}
{{- end -}}

{{- define "rates.ingestPods" -}}
{{- if ne .Values.ingest.autoscaling.by "none" }}{{ .Values.ingest.autoscaling.minReplicas }}{{ else }}{{ .Values.ingest.replicas }}{{ end -}}
{{- end -}}

{{- define "rates.podsGrade" -}}
{{- $values := index .root.Values .component -}}
{{- $pods := int (include (printf "rates.%sPods" .component) .root) -}}
{{- $owner := ternary "autoscaled" "fixed" (or (default false $values.autoscaling.enabled) (ne ($values.autoscaling.by | default "none") "none")) -}}
{{- include "rates.grade" (dict "what" .component
  "good" (ternary (printf "%d pods (%s): one may be lost" $pods $owner) "" (gt $pods 1))
  "bad" (printf "%d: while it is away, %s; set %s.replicas=2" $pods .loss .component)) -}}
{{- include "rates.grade" (dict "what" ""
  "good" (ternary "a drain takes one pod at a time (PodDisruptionBudget)" "" $values.pdb.enabled)
  "bad" (printf "a drain may take all pods at once; set %s.pdb.enabled=true" .component)) -}}
{{- $spread := $values.spread -}}
{{- include "rates.grade" (dict "what" ""
  "good" (ternary (printf "spread by %s" (join " and " (compact (list (ternary "zone" "" (ne $spread.zone "")) (ternary "host" "" (ne $spread.host "")))))) "" (or (ne $spread.zone "") (ne $spread.host "")))
  "bad" (printf "all pods may be on one host; set %s.spread.host" .component)) -}}
{{- end -}}

{{- define "rates.grades" -}}
{{- $values := .Values -}}
{{- include "rates.podsGrade" (dict "root" . "component" "api" "loss" "nobody can read") -}}
{{- include "rates.podsGrade" (dict "root" . "component" "ingest" "loss" "batches wait in Kafka") -}}
{{- $dev := or (contains "rates-dev" $values.database.host) (contains "rates-dev" (join "," $values.kafka.brokers)) -}}
{{- include "rates.grade" (dict "what" "servers" "good" (ternary "" "PostgreSQL and Kafka are none of this release's: back them up" $dev)
  "bad" "PostgreSQL or Kafka is of rates-dev: not for data that matters") -}}
{{- include "rates.grade" (dict "what" "" "good" (ternary (printf "%d brokers to begin with" (len $values.kafka.brokers)) "" (gt (len $values.kafka.brokers) 1))
  "bad" "one broker is named: while it is away no pod can start; name more in kafka.brokers") -}}
{{- $replication := int $values.kafka.topics.replication -}}
{{- if $values.kafka.topics.create -}}
{{- include "rates.grade" (dict "what" "" "good" (ternary (printf "topics have %s copies" (ternary "the brokers' default number of" (toString $replication) (eq $replication -1))) "" (or (eq $replication -1) (gt $replication 2)))
  "bad" (printf "topics have %d copies; set kafka.topics.replication=3" $replication)) -}}
{{- end -}}
{{- include "rates.grade" (dict "what" "TLS" "good" (ternary "to PostgreSQL, verified" "" (ne "" (print $values.database.ca.secret $values.database.ca.configMap)))
  "bad" "PostgreSQL is talked to in the clear; set database.ca") -}}
{{- include "rates.grade" (dict "what" "" "good" (ternary "to Kafka, verified" "" (eq "true" (include "rates.kafkaTls" .)))
  "bad" "Kafka is talked to in the clear; set kafka.tls.enabled or kafka.ca") -}}
{{- include "rates.grade" (dict "what" "" "good" (ternary (printf "Kafka asks who it is (%s)" $values.kafka.sasl.mechanism) "" (ne "" $values.kafka.sasl.mechanism))
  "bad" "Kafka lets everybody in; set kafka.sasl") -}}
{{- $s3 := "" -}}
{{- range $component := list "api" "ingest" "import" }}{{ $s3 = print $s3 (include "rates.usesS3" (dict "root" $ "component" $component)) }}{{ end -}}
{{- if $s3 -}}
{{- include "rates.grade" (dict "what" "" "good" (ternary "" "to the object store, verified" (hasPrefix "http:" $values.s3.endpoint))
  "bad" "the object store is talked to in the clear; set s3.endpoint to https://…") -}}
{{- end -}}
{{- $inValues := or (not $values.database.existingSecret) (and $values.kafka.sasl.mechanism (not $values.kafka.sasl.existingSecret)) (and $values.webhook.url $values.webhook.secret (not $values.webhook.existingSecret)) (and $s3 $values.s3.accessKeyId (not $values.s3.existingSecret)) -}}
{{- include "rates.grade" (dict "what" "secrets" "good" (ternary "" "in Secrets that exist without this release; new passwords need no restart" (not (not $inValues)))
  "bad" "passwords are among the values, which Helm keeps; set database.existingSecret, kafka.sasl.existingSecret, webhook.existingSecret, s3.existingSecret") -}}
{{- include "rates.grade" (dict "what" "network" "good" (ternary "only what is needed (NetworkPolicy, where the network enforces it)" "" $values.networkPolicy.enabled)
  "bad" "every pod may talk to everything; set networkPolicy.enabled=true") -}}
{{- include "rates.grade" (dict "what" "images" "good" (ternary "by digest" "" (and (ne "" $values.api.image.digest) (ne "" $values.ingest.image.digest)))
  "bad" "by tag, which may come to mean another image; set api.image.digest, ingest.image.digest") -}}
{{- include "rates.grade" (dict "what" "monitoring" "good" (ternary "scraped, with alerts" "" (and (ne "none" $values.monitoring.scrape) $values.monitoring.rules.enabled))
  "bad" "nobody is told when something is wrong; set monitoring.scrape, monitoring.rules.enabled") -}}
{{- end -}}
