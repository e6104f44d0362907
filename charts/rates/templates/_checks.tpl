{{/* What a schema cannot say, all of it at once. */}}
{{- define "rates.checks" -}}
{{- $faults := list -}}
{{- $database := .Values.database -}}
{{- if not $database.host }}{{ $faults = append $faults "database.host: the host of PostgreSQL is missing" }}{{ end -}}
{{- if not $database.existingSecret -}}
{{- range $user := list "migration" "ingest" "api" -}}
{{- if not (index $database.users $user).password -}}
{{- $faults = append $faults (printf "database.users.%s.password: give it, or name a Secret with the passwords in database.existingSecret" $user) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $sasl := .Values.kafka.sasl -}}
{{- if not .Values.kafka.brokers }}{{ $faults = append $faults "kafka.brokers: no broker is named" }}{{ end -}}
{{- if $sasl.mechanism -}}
{{- if not $sasl.username }}{{ $faults = append $faults "kafka.sasl.username: it is missing" }}{{ end -}}
{{- if not (or $sasl.password $sasl.existingSecret) -}}
{{- $faults = append $faults "kafka.sasl.password: give it, or name a Secret in kafka.sasl.existingSecret" -}}
{{- end -}}
{{- end -}}
{{- range $part := list "database" "kafka" "s3" -}}
{{- $ca := (index $.Values $part).ca -}}
{{- if and $ca.secret $ca.configMap -}}
{{- $faults = append $faults (printf "%s.ca: name a Secret or a ConfigMap, not both" $part) -}}
{{- end -}}
{{- end -}}
{{- $import := .Values.import -}}
{{- if $import.enabled -}}
{{- $sources := compact (list $import.configMap.name $import.volumeClaim.name $import.s3.bucket) -}}
{{- if ne (len $sources) 1 -}}
{{- $faults = append $faults "import: name one source: import.configMap.name, import.volumeClaim.name or import.s3.bucket" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.s3.workloadIdentity (or .Values.s3.accessKeyId .Values.s3.existingSecret) -}}
{{- $faults = append $faults "s3: keys come by the pods' account (workloadIdentity) or by a Secret, not both" -}}
{{- end -}}
{{- if and .Values.s3.accessKeyId (not (or .Values.s3.secretAccessKey .Values.s3.existingSecret)) -}}
{{- $faults = append $faults "s3.secretAccessKey: it is missing" -}}
{{- end -}}
{{- if has .Values.claims.bucket .Values.objects.buckets -}}
{{- $faults = append $faults "claims.bucket: it is in objects.buckets, too: what is put away there would be loaded" -}}
{{- end -}}
{{- if and (not .Values.webhook.url) (or .Values.webhook.secret .Values.webhook.existingSecret) -}}
{{- $faults = append $faults "webhook.url: it is missing; there is nothing to sign without it" -}}
{{- end -}}
{{- range $component := list "api" "ingest" -}}
{{- $scaling := (index $.Values $component).autoscaling -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) -}}
{{- $faults = append $faults (printf "%s.autoscaling: minReplicas is more than maxReplicas" $component) -}}
{{- end -}}
{{- end -}}
{{- if $faults -}}
{{- fail (printf "\n\nValues are missing or contradict each other:\n  %s\n" (join "\n  " $faults)) -}}
{{- end -}}
{{- end -}}
