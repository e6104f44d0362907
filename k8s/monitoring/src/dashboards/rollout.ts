import { quantile } from './bottleneck-rows.ts'
import { dashboard, NAMESPACE, PROCESS } from './build.ts'
import { graph, stat } from './panel.ts'

const REQUESTS = 'http_server_request_duration_seconds'
const increase = (by: string, metric: string, labels = ''): string =>
  `sum by (${by}) (increase(${metric}{${labels}${NAMESPACE}}[$__rate_interval]))`

const processes = {
  title: 'Processes',
  panels: [
    graph({
      title: 'Replicas by version',
      description: 'Processes that are scraped. A rollout is over when one version is left.',
      unit: 'short',
      queries: [
        { expr: `count by (job, version) (rates_build_info{${NAMESPACE},job=~"$job"})`, legend: '{{job}} {{version}}' },
      ],
      width: 12,
      stacked: true,
    }),
    stat({
      title: 'Versions',
      description: 'How many versions run side by side: two while a rollout goes on.',
      unit: 'short',
      queries: [
        {
          expr: `count by (job) (count by (job, version) (rates_build_info{${NAMESPACE},job=~"$job"}))`,
          legend: '{{job}}',
        },
      ],
      width: 6,
      height: 7,
      colours: [
        [null, 'green'],
        [2, 'orange'],
      ],
    }),
    graph({
      title: 'Younger than five minutes',
      description: 'Processes that have started within five minutes. Outside of rollouts: restarts.',
      unit: 'short',
      queries: [
        {
          expr: `sum by (job) (time() - process_start_time_seconds{${PROCESS}} < bool 300)`,
          legend: '{{job}}',
        },
      ],
      width: 6,
    }),
  ],
}

const drains = {
  title: 'Draining',
  panels: [
    graph({
      title: 'Draining workers',
      description: 'Workers that were told to stop and finish the chunk in hand.',
      unit: 'short',
      queries: [{ expr: `sum(rates_ingest_draining{${NAMESPACE}})`, legend: 'draining' }],
      width: 6,
    }),
    graph({
      title: 'Drain durations (p50, longest)',
      description:
        'From the signal until the worker had left its groups. Well under a second is usual; DRAIN_SECONDS is the end.',
      unit: 's',
      queries: [0.5, 1].map((q) => ({
        expr: quantile(q, '', 'rates_ingest_drain_duration_seconds').replace('$__rate_interval', '15m'),
        legend: q === 1 ? 'longest' : 'p50',
      })),
      width: 6,
    }),
    graph({
      title: 'Rebalances',
      description: 'Changes of the partitions that workers hold: two for each worker that is replaced, in each lane.',
      unit: 'short',
      queries: [{ expr: increase('kind', 'rates_ingest_rebalances_total'), legend: '{{kind}}' }],
      width: 6,
    }),
    graph({
      title: 'Done again',
      description:
        'Chunks that came again ("same": after a worker died with them in hand, say), and steps tried again.',
      unit: 'short',
      queries: [
        { expr: increase('relation', 'rates_ingest_chunks_total', 'relation!="new",'), legend: 'chunks: {{relation}}' },
        { expr: increase('reason', 'rates_ingest_retries_total'), legend: 'again: {{reason}}' },
      ],
      width: 6,
    }),
  ],
}

const meanwhile = {
  title: 'What users notice of it',
  panels: [
    graph({
      title: 'Failed requests',
      description: 'Answers with 5xx by status. A rollout gives none.',
      unit: 'reqps',
      queries: [
        {
          expr: `sum by (http_response_status_code) (rate(${REQUESTS}_count{http_response_status_code=~"5..",${NAMESPACE}}[$__rate_interval])) or label_replace(vector(0), "http_response_status_code", "none", "", "")`,
          legend: '{{http_response_status_code}}',
        },
      ],
      width: 6,
    }),
    graph({
      title: 'GET /rates (p50, p99)',
      description: 'Whether reads stay as fast while pods change.',
      unit: 's',
      queries: [0.5, 0.99].map((q) => ({
        expr: quantile(q, '', REQUESTS, 'http_route="/rates",'),
        legend: `p${q * 100}`,
      })),
      width: 6,
    }),
    graph({
      title: 'Batches in flight',
      description: 'They go on at other workers; none is lost and none begins anew.',
      unit: 'short',
      queries: [{ expr: `max(rates_ingest_in_flight_batches{${NAMESPACE}})`, legend: 'in flight' }],
      width: 6,
    }),
    graph({
      title: 'Age of the next record',
      description: 'How long records wait while partitions change hands.',
      unit: 's',
      queries: [{ expr: `max by (topic) (rates_ingest_consumer_lag_seconds{${NAMESPACE}})`, legend: '{{topic}}' }],
      width: 6,
    }),
  ],
}

export const rollout = dashboard({
  uid: 'rates-rollout',
  title: 'Rates: rollout and drain',
  description: 'What happens while pods are replaced, and whether anybody notices.',
  from: '1h',
  rows: [processes, drains, meanwhile],
})
