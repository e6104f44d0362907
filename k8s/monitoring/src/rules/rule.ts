/** Prometheus' own format of rule files: https://prometheus.io/docs/prometheus/latest/configuration/recording_rules */
export interface RuleGroup {
  name: string
  interval?: string
  rules: Rule[]
}

export type Rule = RecordingRule | AlertRule

export interface RecordingRule {
  record: string
  expr: string
  labels?: Record<string, string>
}

export interface AlertRule {
  alert: string
  expr: string
  for?: string
  labels: { severity: 'page' | 'ticket' }
  annotations: { summary: string; description: string; runbook_url: string }
}

export const isAlert = (rule: Rule): rule is AlertRule => 'alert' in rule

/** Precedes the runbook's name in `runbook_url`; the chart puts its value `runbookBaseUrl` in its place. */
export const RUNBOOKS = 'docs/runbooks/'

interface AlertText {
  expr: string
  for?: string
  /** One line, for a telephone. */
  summary: string
  /** What was seen, with its value, and what to look at first. */
  description: string
}

export const page = (alert: string, text: AlertText): AlertRule => make(alert, 'page', text)
export const ticket = (alert: string, text: AlertText): AlertRule => make(alert, 'ticket', text)

const make = (alert: string, severity: 'page' | 'ticket', text: AlertText): AlertRule => ({
  alert,
  expr: text.expr,
  ...(text.for === undefined ? {} : { for: text.for }),
  labels: { severity },
  annotations: { summary: text.summary, description: text.description, runbook_url: `${RUNBOOKS}${alert}.md` },
})

/** An expression over several lines, without the indentation that it has in the source. */
export function promql(strings: TemplateStringsArray, ...values: (string | number)[]): string {
  const lines = String.raw({ raw: strings.raw }, ...values)
    .replace(/^\n+|\s+$/g, '')
    .split('\n')
  const indents = lines.filter((line) => line.trim() !== '').map((line) => line.length - line.trimStart().length)
  const indent = Math.min(...indents)
  return lines.map((line) => line.slice(indent)).join('\n')
}

/** By a counter's new series, too: the first event makes it, and `increase` does not count what a series begins with. */
export function arrived(counter: string, label: string): string {
  return promql`
    sum by (namespace, ${label}) (
      increase(${counter}[15m]) > 0
      or (${counter} > 0 unless ${counter} offset 15m)
    )`
}
