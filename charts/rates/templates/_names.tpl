{{/* The longest name made of it has 23 characters more: a Job's "-migrate-" with its hash, and what a pod's name adds. */}}
{{- define "rates.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods of a component: dict "root" $ "component" "api" (without a component: all of the release). */}}
{{- define "rates.selector" -}}
app.kubernetes.io/name: {{ .root.Values.nameOverride | default .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* On every object. */}}
{{- define "rates.labels" -}}
{{ include "rates.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: rates
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* On pods: nothing that changes with a version, or each version of the chart would restart all of them. */}}
{{- define "rates.podLabels" -}}
{{ include "rates.selector" . }}
app.kubernetes.io/part-of: rates
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- with .more }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rates.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "rates.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* dict "root" $ "image" .Values.api.image: a digest, where one is given, else a tag. */}}
{{- define "rates.image" -}}
{{- $repository := .image.repository -}}
{{- with .root.Values.image.registry }}{{ $repository = printf "%s/%s" (trimSuffix "/" .) $repository }}{{ end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.image.tag | default .root.Values.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/*
The image of a Job: a Job's pod cannot be changed, so one that is there keeps the image that it began with.
dict "root" $ "name" its name "image" the image of a new one
*/}}
{{- define "rates.jobImage" -}}
{{- $job := lookup "batch/v1" "Job" .root.Release.Namespace .name -}}
{{- if $job -}}
{{- (index $job.spec.template.spec.containers 0).image -}}
{{- else -}}
{{- .image -}}
{{- end -}}
{{- end -}}
