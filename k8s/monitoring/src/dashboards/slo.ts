import { SLOS, WINDOWS, type Slo } from '../rules/slo.ts'
import { dashboard, NAMESPACE } from './build.ts'
import { graph, stat } from './panel.ts'

const TITLES: Readonly<Record<Slo['name'], string>> = {
  batch_deadline: 'Batches visible before their deadline',
  api_availability: 'Requests answered without an error of ours',
  api_latency: 'Reads of /rates below 100 ms',
  reply_delay: 'Replies sent within 30 s of the outcome',
}

const percent = (ratio: number): string => `${Number((ratio * 100).toFixed(4))} %`

/** Of all environments chosen together: the namespace stays out of it. */
const over = (slo: Slo, window: string): string => {
  const whole = (expr: string): string => `sum(${expr})`
  return `${whole(slo.bad(window, NAMESPACE))} / (${whole(slo.all(window, NAMESPACE))} > 0)`
}

const rowOf = (slo: Slo) => {
  const budget = Number((1 - slo.objective).toFixed(6))
  return {
    title: `${TITLES[slo.name]}: ${percent(slo.objective)}`,
    panels: [
      stat({
        title: 'Reached in 28 days',
        description: `The objective is ${percent(slo.objective)} of 28 days, or of what Prometheus has kept.`,
        unit: 'percentunit',
        decimals: 3,
        queries: [{ expr: `1 - ${over(slo, '28d')}`, legend: 'reached' }],
        width: 4,
        height: 7,
        none: 'nothing yet',
        colours: [
          [null, 'red'],
          [slo.objective, 'green'],
        ],
      }),
      stat({
        title: 'Budget left',
        description:
          'What may still miss the objective in these 28 days, as a part of all that may. Negative: the objective is missed.',
        unit: 'percentunit',
        decimals: 1,
        queries: [{ expr: `1 - ${over(slo, '28d')} / ${budget}`, legend: 'left' }],
        width: 4,
        height: 7,
        none: 'nothing yet',
        colours: [
          [null, 'red'],
          [0, 'orange'],
          [0.25, 'green'],
        ],
      }),
      graph({
        title: 'Burn rate',
        description:
          'How many times as fast as allowed the budget goes, by window. Above 14.4 in 1h and 5m, or above 6 in 6h and 30m, it is gone within days: of batches and requests that pages.',
        unit: 'short',
        queries: WINDOWS.map((window) => ({
          expr: `max(rates:slo_errors:ratio_rate${window}{slo="${slo.name}",${NAMESPACE}}) / ${budget}`,
          legend: window,
        })),
        width: 16,
        lines: true,
        colours: [
          [null, 'transparent'],
          [6, 'orange'],
          [14.4, 'red'],
        ],
      }),
    ],
  }
}

const rest = {
  title: 'Correctness, and replies',
  panels: [
    stat({
      title: 'Violated invariants',
      description: 'In the time shown. The objective is 0.',
      unit: 'short',
      queries: [
        {
          expr: `sum(increase(rates_ingest_invariant_violations_total{${NAMESPACE}}[$__range])) or vector(0)`,
          legend: 'violations',
        },
      ],
      width: 4,
      height: 7,
      colours: [
        [null, 'green'],
        [0.5, 'red'],
      ],
    }),
    graph({
      title: 'Part of the time until the deadline that batches used (p50, p99)',
      description: 'From 1 on they were late.',
      unit: 'percentunit',
      queries: [0.5, 0.99].map((q) => ({
        expr: `histogram_quantile(${q}, sum by (le) (rate(rates_ingest_deadline_used_ratio_bucket{${NAMESPACE}}[5m])))`,
        legend: `p${q * 100}`,
      })),
      width: 10,
      lines: true,
      colours: [
        [null, 'transparent'],
        [1, 'red'],
      ],
    }),
    graph({
      title: 'Oldest reply',
      description: 'How long the oldest reply that is not sent waits.',
      unit: 's',
      queries: [{ expr: `max(rates:outbox_oldest_age:seconds{${NAMESPACE}})`, legend: 'oldest' }],
      width: 10,
    }),
  ],
}

export const slo = dashboard({
  uid: 'rates-slo',
  title: 'Rates: objectives',
  description: 'Whether what was promised is kept, and how fast the budget for faults goes.',
  from: '24h',
  rows: [...SLOS.map(rowOf), rest],
})
