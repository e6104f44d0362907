{{/* A rule's peers; without any, everybody: dict "key" "to" "peers" [] */}}
{{- define "rates.peers" -}}
{{- if .peers }}
{{ .key }}:
  {{- toYaml .peers | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Of a URL, also of one that tells none. */}}
{{- define "rates.portOf" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host -}}
{{- if $port }}{{ trimPrefix ":" $port }}{{ else if eq $url.scheme "http" }}80{{ else }}443{{ end -}}
{{- end -}}
