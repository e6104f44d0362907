{{/* A rule's peers; without any, everybody: dict "key" "to" "peers" [] */}}
{{- define "rates.peers" -}}
{{- if .peers }}
{{ .key }}:
  {{- toYaml .peers | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "rates.s3Port" -}}
{{- $url := urlParse (.Values.s3.endpoint | default "https://s3") -}}
{{- if contains ":" $url.host }}{{ splitList ":" $url.host | last }}{{ else if eq $url.scheme "http" }}80{{ else }}443{{ end -}}
{{- end -}}
