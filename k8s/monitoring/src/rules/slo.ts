import { promql, type RecordingRule, type RuleGroup } from './rule.ts'

export interface Slo {
  name: 'batch_deadline' | 'api_availability' | 'api_latency' | 'reply_delay'
  objective: number
  /** Events a second that missed, and all, over a window. */
  bad: (window: string, selector?: string) => string
  all: (window: string, selector?: string) => string
}

const REQUESTS = 'http_server_request_duration_seconds'
const DEADLINE = 'rates_ingest_deadline_used_ratio'
const REPLIES = 'rates_outbox_delay_seconds'
const READS = 'http_route="/rates",http_request_method="GET"'

const rate = (metric: string, labels: string, window: string, selector: string): string => {
  const matchers = [labels, selector].filter((each) => each !== '').join(',')
  return `sum by (namespace) (rate(${metric}${matchers === '' ? '' : `{${matchers}}`}[${window}]))`
}

/** Over 28 days. Prometheus 3 writes the bucket 1 as 1.0, and 30 as 30.0. */
export const SLOS: readonly Slo[] = [
  {
    name: 'batch_deadline',
    objective: 0.995,
    bad: (w, s = '') =>
      `(${rate(`${DEADLINE}_count`, '', w, s)} - ${rate(`${DEADLINE}_bucket`, String.raw`le=~"1(\\.0)?"`, w, s)})`,
    all: (w, s = '') => rate(`${DEADLINE}_count`, '', w, s),
  },
  {
    name: 'api_availability',
    objective: 0.9995,
    bad: (w, s = '') =>
      `(${rate(`${REQUESTS}_count`, 'http_response_status_code=~"5.."', w, s)} or 0 * ${rate(`${REQUESTS}_count`, '', w, s)})`,
    all: (w, s = '') => rate(`${REQUESTS}_count`, '', w, s),
  },
  {
    name: 'api_latency',
    objective: 0.99,
    bad: (w, s = '') =>
      `(${rate(`${REQUESTS}_count`, READS, w, s)} - ${rate(`${REQUESTS}_bucket`, `${READS},le="0.1"`, w, s)})`,
    all: (w, s = '') => rate(`${REQUESTS}_count`, READS, w, s),
  },
  {
    name: 'reply_delay',
    objective: 0.999,
    bad: (w, s = '') =>
      `(${rate(`${REPLIES}_count`, '', w, s)} - ${rate(`${REPLIES}_bucket`, String.raw`le=~"30(\\.0)?"`, w, s)})`,
    all: (w, s = '') => rate(`${REPLIES}_count`, '', w, s),
  },
]

export const WINDOWS = ['5m', '30m', '1h', '6h'] as const

/** The part of events that missed the objective; absent where there were none. */
const errors = (slo: Slo, window: string): RecordingRule => ({
  record: `rates:slo_errors:ratio_rate${window}`,
  expr: `${slo.bad(window)}\n/ (${slo.all(window)} > 0)`,
  labels: { slo: slo.name },
})

export const slo: RuleGroup = {
  name: 'rates-slo',
  interval: '30s',
  rules: SLOS.flatMap((each) => WINDOWS.map((window) => errors(each, window))),
}

/**
 * Burns the budget of 28 days fast: 2 % of it within an hour, or 5 % within six, and still does. At least `events` have
 * to have missed, so that one of three requests in a quiet night wakes nobody.
 */
export function burns(name: Slo['name'], events: number): string {
  const slo = SLOS.find((each) => each.name === name)!
  const over = (window: string, factor: number): string =>
    `rates:slo_errors:ratio_rate${window}{slo="${name}"} > ${factor} * ${decimal(1 - slo.objective)}`
  return promql`
    (
      (${over('1h', 14.4)} and ${over('5m', 14.4)})
      or (${over('6h', 6)} and ${over('30m', 6)})
    )
    and on (namespace) ${slo.bad('6h')} * 21600 > ${events - 0.5}`
}

/** 1 - 0.9995 is 0.000499… in binary. */
const decimal = (value: number): string => String(Number(value.toFixed(6)))
