import { NAMESPACE, PROCESS } from './build.ts'
import { graph } from './panel.ts'

export const perSecond = (by: string, metric: string, labels = ''): string =>
  `sum by (${by}) (rate(${metric}{${labels}${NAMESPACE}}[$__rate_interval]))`

export const quantile = (q: number, by: string, histogram: string, labels = ''): string => {
  const groups = by === '' ? 'le' : `${by}, le`
  return `histogram_quantile(${q}, sum by (${groups}) (rate(${histogram}_bucket{${labels}${NAMESPACE}}[$__rate_interval])))`
}

export const flowRow = {
  title: 'Flow',
  panels: [
    graph({
      title: 'Rows',
      description: 'Rows stored and rows made visible. Publishing comes in steps: a batch is published as a whole.',
      unit: 'rowsps',
      queries: [{ expr: perSecond('stage, outcome', 'rates_ingest_rows_total'), legend: '{{stage}} {{outcome}}' }],
      width: 8,
    }),
    graph({
      title: 'Batches',
      description: 'Batches that came to their outcome.',
      unit: 'cps',
      queries: [{ expr: perSecond('outcome', 'rates_ingest_batches_total'), legend: '{{outcome}}' }],
      width: 8,
    }),
    graph({
      title: 'Bytes',
      description: 'Read from Kafka, and of stored chunks as they were sent.',
      unit: 'Bps',
      queries: [{ expr: perSecond('stage', 'rates_ingest_bytes_total'), legend: '{{stage}}' }],
      width: 8,
    }),
    graph({
      title: 'Drain time',
      description: 'When all that waits is done, at the present rate. If it grows, more comes than workers can do.',
      unit: 's',
      queries: [{ expr: `max(rates:ingest_drain:seconds{${NAMESPACE}})`, legend: 'drain time' }],
      width: 6,
    }),
    graph({
      title: 'Batches in flight',
      description: 'Batches without an outcome yet, those that wait for their senders among them.',
      unit: 'short',
      queries: [{ expr: `max(rates_ingest_in_flight_batches{${NAMESPACE}})`, legend: 'in flight' }],
      width: 6,
    }),
    graph({
      title: 'From record to visible (p50, p99)',
      description:
        'From a batch’s first record until its outcome, by size: tiny up to 1 000 rows, small to 30 000, medium to 300 000, large above.',
      unit: 's',
      queries: [0.5, 0.99].map((q) => ({
        expr: quantile(q, 'size_class', 'rates_ingest_batch_duration_seconds'),
        legend: `{{size_class}} p${q * 100}`,
      })),
      width: 6,
    }),
    graph({
      title: 'Again, and set aside',
      description:
        'Steps tried again after a fault that passes, by what failed (a SQLSTATE, or the fault of a connection); records that no worker could use.',
      unit: 'cps',
      queries: [
        { expr: perSecond('stage, reason', 'rates_ingest_retries_total'), legend: '{{stage}} again: {{reason}}' },
        { expr: perSecond('reason', 'rates_ingest_dead_letters_total'), legend: 'set aside: {{reason}}' },
      ],
      width: 6,
    }),
  ],
}

export const kafkaRow = {
  title: 'Kafka',
  panels: [
    graph({
      title: 'Age of the next record',
      description: 'How old the oldest unread record is, by topic: the lag that a sender feels.',
      unit: 's',
      queries: [{ expr: `max by (topic) (rates_ingest_consumer_lag_seconds{${NAMESPACE}})`, legend: '{{topic}}' }],
      width: 6,
    }),
    graph({
      title: 'Unread records',
      description:
        'Records behind, by topic. They are of very different sizes: compare the drain time with deadlines instead.',
      unit: 'short',
      queries: [
        {
          expr: `sum by (topic) (max by (topic, partition) (rates_ingest_consumer_lag_messages{${NAMESPACE}}))`,
          legend: '{{topic}}',
        },
      ],
      width: 6,
    }),
    graph({
      title: 'Most unread in a partition',
      description:
        'The five partitions that are furthest behind. One far above the rest: a sender puts all into one key.',
      unit: 'short',
      queries: [
        {
          expr: `topk(5, max by (topic, partition) (rates_ingest_consumer_lag_messages{${NAMESPACE}}))`,
          legend: '{{topic}} {{partition}}',
        },
      ],
      width: 6,
    }),
    graph({
      title: 'Rebalances',
      description: 'Changes of the partitions that workers hold. Some at a rollout; none else.',
      unit: 'short',
      queries: [
        {
          expr: `sum by (kind) (increase(rates_ingest_rebalances_total{${NAMESPACE}}[$__rate_interval]))`,
          legend: '{{kind}}',
        },
      ],
      width: 6,
    }),
  ],
}

export const nodeRow = {
  title: 'Node',
  panels: [
    graph({
      title: 'Event loop',
      description:
        'The part of time in which a process’ event loop is busy. Near 1 it is one core’s limit: more processes help.',
      unit: 'percentunit',
      queries: [{ expr: `nodejs_eventloop_utilization_ratio{${PROCESS}}`, legend: '{{job}} {{instance}}' }],
      width: 6,
      max: 1,
    }),
    graph({
      title: 'Event loop delay (p99)',
      description: 'How late timers are: what a request waits for at least while something else computes.',
      unit: 's',
      queries: [{ expr: `nodejs_eventloop_delay_seconds{quantile="0.99",${PROCESS}}`, legend: '{{job}} {{instance}}' }],
      width: 6,
    }),
    graph({
      title: 'CPU',
      description: 'Cores used by a process, its threads for compression and garbage collection among them.',
      unit: 'short',
      queries: [
        { expr: `rate(process_cpu_seconds_total{${PROCESS}}[$__rate_interval])`, legend: '{{job}} {{instance}}' },
      ],
      width: 6,
    }),
    graph({
      title: 'Memory',
      description: 'Resident memory of a process. A worker has 170 MiB, 200 at most, whatever the size of batches.',
      unit: 'bytes',
      queries: [{ expr: `process_resident_memory_bytes{${PROCESS}}`, legend: '{{job}} {{instance}}' }],
      width: 6,
    }),
  ],
}

export const postgresRow = {
  title: 'PostgreSQL',
  panels: [
    graph({
      title: 'Commit (p50, p99)',
      description:
        'How long a COMMIT takes: the disk’s flush, mostly. The first thing to look at if copy waits for db.',
      unit: 's',
      queries: [0.5, 0.99].map((q) => ({
        expr: quantile(q, '', 'rates_db_commit_duration_seconds'),
        legend: `p${q * 100}`,
      })),
      width: 6,
    }),
    graph({
      title: 'Wait for a connection (p99)',
      description:
        'What one in a hundred takers of a connection waits for, by pool. Above some milliseconds DATABASE_POOL is too small, or PostgreSQL too slow.',
      unit: 's',
      queries: [{ expr: quantile(0.99, 'pool', 'rates_db_pool_wait_seconds'), legend: '{{pool}}' }],
      width: 6,
    }),
    graph({
      title: 'Connections',
      description: 'Of all processes together, by pool.',
      unit: 'short',
      queries: [
        { expr: `sum by (pool, state) (rates_db_pool_connections{${NAMESPACE}})`, legend: '{{pool}} {{state}}' },
      ],
      width: 6,
      stacked: true,
    }),
    graph({
      title: 'What connections wait for',
      description:
        'While a worker’s loop waits for PostgreSQL, its backend is looked at once a second: how many of them wait for what. IO and LWLock WALWrite are the disk, Lock is other transactions, CPU is no wait: the server computes.',
      unit: 'short',
      queries: [
        {
          expr: `topk(8, ${perSecond('wait_event_type, wait_event', 'rates_db_wait_samples_total')})`,
          legend: '{{wait_event_type}} {{wait_event}}',
        },
      ],
      width: 6,
      stacked: true,
    }),
    graph({
      title: 'Packs',
      description: 'Stored packs, and those of pairs and months with eight or more, which merging takes up.',
      unit: 'short',
      queries: [
        { expr: `max(rates_packs{${NAMESPACE}})`, legend: 'packs' },
        { expr: `max(rates_merge_crowded_packs{${NAMESPACE}})`, legend: 'in crowded months' },
      ],
      width: 6,
    }),
    graph({
      title: 'Hidden batches',
      description:
        'Batches that every read filters out: loading, failed, reverted, replaced. Reads grow slower with each.',
      unit: 'short',
      queries: [{ expr: `max(rates:hidden_batches:count{${NAMESPACE}})`, legend: 'hidden' }],
      width: 6,
      lines: true,
      colours: [
        [null, 'transparent'],
        [200, 'red'],
      ],
    }),
    graph({
      title: 'Merged prices',
      description: 'Prices that merging of small packs moves: load on PostgreSQL beside that of batches.',
      unit: 'cps',
      queries: [{ expr: `sum(rate(rates_merge_prices_total{${NAMESPACE}}[$__rate_interval]))`, legend: 'prices' }],
      width: 6,
    }),
    graph({
      title: 'Since the last round of maintenance',
      description: 'Merging ends a round within seconds to minutes, the ledger’s retention within the hour.',
      unit: 's',
      queries: [
        {
          expr: `time() - max by (task) (rates_maintenance_last_success_timestamp_seconds{${NAMESPACE}} > 0)`,
          legend: '{{task}}',
        },
      ],
      width: 6,
    }),
  ],
}

export const readsRow = {
  title: 'Reads and uploads',
  panels: [
    graph({
      title: 'Requests',
      description: 'Answers by route.',
      unit: 'reqps',
      queries: [
        { expr: perSecond('http_route', 'http_server_request_duration_seconds_count'), legend: '{{http_route}}' },
      ],
      width: 6,
    }),
    graph({
      title: 'GET /rates (p50, p99)',
      description: 'The objective is 99 % below 100 ms.',
      unit: 's',
      queries: [0.5, 0.99].map((q) => ({
        expr: quantile(q, '', 'http_server_request_duration_seconds', 'http_route="/rates",'),
        legend: `p${q * 100}`,
      })),
      width: 6,
      lines: true,
      colours: [
        [null, 'transparent'],
        [0.1, 'red'],
      ],
    }),
    graph({
      title: 'Uploads',
      description: 'Ended uploads by outcome, and how many are going on.',
      unit: 'short',
      queries: [
        { expr: perSecond('outcome', 'rates_api_uploads_total'), legend: '{{outcome}} a second' },
        { expr: `sum(rates_api_uploads_in_progress{${NAMESPACE}})`, legend: 'going on' },
      ],
      width: 6,
    }),
    graph({
      title: 'Replies that wait',
      description: 'Outcomes whose reply is not sent yet.',
      unit: 'short',
      queries: [{ expr: `max(rates_outbox_pending{${NAMESPACE}})`, legend: 'replies' }],
      width: 6,
    }),
  ],
}
