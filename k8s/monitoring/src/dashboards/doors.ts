import { type Builder } from '@grafana/grafana-foundation-sdk/cog'
import { type Panel } from '@grafana/grafana-foundation-sdk/dashboard'
import { perSecond, quantile } from './bottleneck-rows.ts'
import { dashboard, NAMESPACE } from './build.ts'
import { graph, type Query } from './panel.ts'

const all = (metric: string, legend: string): Query => ({
  expr: `sum(rate(${metric}{${NAMESPACE}}[$__rate_interval]))`,
  legend,
})
const most = (metric: string, legend: string): Query => ({ expr: `max(${metric}{${NAMESPACE}})`, legend })
const sum = (metric: string, legend: string): Query => ({ expr: `sum(${metric}{${NAMESPACE}})`, legend })
const by = (label: string, metric: string, legend = `{{${label}}}`): Query => ({
  expr: perSecond(label, metric),
  legend,
})
const quantiles = (histogram: string): Query[] =>
  [0.5, 0.99].map((q) => ({ expr: quantile(q, '', histogram), legend: `p${q * 100}` }))
const unread = (door: string): string =>
  `sum(max by (partition) (rates_door_lag_messages{door="${door}",${NAMESPACE}}))`
const age = (door: string): string => `max(rates:door_lag:seconds{door="${door}",${NAMESPACE}})`

interface Shown {
  title: string
  description: string
  unit: string
  queries: Query[]
  /** From here on it is told by an alert. */
  limit?: number
}

const row = (title: string, width: number, panels: Shown[]): { title: string; panels: Builder<Panel>[] } => ({
  title,
  panels: panels.map(({ limit, ...panel }) =>
    graph({
      ...panel,
      width,
      ...(limit === undefined
        ? {}
        : {
            lines: true,
            colours: [
              [null, 'transparent'],
              [limit, 'red'],
            ],
          }),
    }),
  ),
})

const queries = row('Queries by message', 8, [
  {
    title: 'Answers',
    description: 'Answers that were sent, by what was asked and how it went; none: a query that cannot be read.',
    unit: 'cps',
    queries: [{ expr: `${perSecond('query, status', 'rates_queries_total')} > 0`, legend: '{{query}} {{status}}' }],
  },
  {
    title: 'From query to answer (p50, p99)',
    description: 'From the record time of a query until Kafka has its answer: what waits in the topic counts.',
    unit: 's',
    queries: quantiles('rates_query_duration_seconds'),
  },
  {
    title: 'Oldest query without an answer',
    description: 'How long it waits. Seconds while the API is replaced; minutes: nobody answers, or cannot.',
    unit: 's',
    queries: [{ expr: age('queries'), legend: 'oldest' }],
    limit: 300,
  },
  {
    title: 'Queries without an answer',
    description: 'Those that lie in the topic, and how many of them the processes of the API have in hand.',
    unit: 'short',
    queries: [{ expr: unread('queries'), legend: 'in the topic' }, sum('rates_queries_in_flight', 'in hand')],
  },
  {
    title: 'Bytes of answers',
    description: 'As they are sent: of an answer that was put away the claim alone.',
    unit: 'Bps',
    queries: [all('rates_query_answer_bytes_total', 'sent')],
  },
  {
    title: 'Answers that went elsewhere',
    description: 'Put away for their size; sent to the default topic, as their own is not there or takes none.',
    unit: 'cps',
    queries: [all('rates_query_claims_total', 'put away'), all('rates_query_answers_diverted_total', 'default topic')],
  },
])

const claims = row('Answers that were put away', 8, [
  {
    title: 'Put away',
    description: 'By what came of it: too_large is answered by 413, failed is tried again until it works.',
    unit: 'cps',
    queries: [by('outcome', 'rates_claims_total')],
  },
  {
    title: 'Read',
    description: 'Streams by their end, and those that go on, 16 of a process at most. broken: we could not read it.',
    unit: 'short',
    queries: [by('outcome', 'rates_claim_reads_total', '{{outcome}} a second'), sum('rates_claim_readers', 'going on')],
  },
  {
    title: 'Kept',
    description: 'Claims that can be read, and objects of expired ones that their bucket still has.',
    unit: 'short',
    queries: [most('rates_claims_kept', 'kept'), most('rates_claim_objects_to_remove', 'to be removed')],
  },
  {
    title: 'Bytes kept',
    description: 'The content of what is kept. In PostgreSQL it is compressed, so that the tables are smaller.',
    unit: 'bytes',
    queries: [most('rates_claims_kept_bytes', 'content')],
  },
  {
    title: 'Bytes put away',
    description: 'Content a second, before it is compressed.',
    unit: 'Bps',
    queries: [all('rates_claim_bytes_total', 'content')],
  },
  {
    title: 'Removed',
    description: 'Claims whose time is over, and those that no answer came to have within an hour.',
    unit: 'cps',
    queries: [by('reason', 'rates_claims_removed_total')],
  },
])

const objects = row('Files of the object store', 6, [
  {
    title: 'Waiting',
    description: 'Notifications that were not read yet, and objects that are not sent, those being loaded among them.',
    unit: 'short',
    queries: [{ expr: unread('objects'), legend: 'notifications' }, most('rates_object_loads_waiting', 'objects')],
  },
  {
    title: 'Oldest',
    description: 'How long the oldest of them waits. It grows with a file that takes long, too: compare the bytes.',
    unit: 's',
    queries: [
      { expr: age('objects'), legend: 'notification' },
      most('rates:object_loads_oldest_age:seconds', 'object'),
    ],
    limit: 900,
  },
  {
    title: 'Loaded',
    description: 'Objects whose batch ended. quarantined: it ended three loaders and was set aside.',
    unit: 'cps',
    queries: [by('outcome', 'rates_object_loads_total')],
  },
  {
    title: 'Bytes read',
    description: 'From the store, as they are there; again where a load began anew.',
    unit: 'Bps',
    queries: [all('rates_object_bytes_total', 'bytes')],
  },
  {
    title: 'Time to load (p50, p99)',
    description: 'From an object being taken by a loader until Kafka has all of its chunks.',
    unit: 's',
    queries: quantiles('rates_object_load_duration_seconds'),
  },
  {
    title: 'Begun again',
    description: 'Loads that were left off, by why: the store is away, refuses our keys, or has no such object yet.',
    unit: 'cps',
    queries: [by('reason', 'rates_object_load_retries_total')],
  },
  {
    title: 'Tags',
    description: 'Outcomes that were tagged on their objects, attempts that failed, and tags that were given up.',
    unit: 'cps',
    queries: [by('outcome', 'rates_object_tags_total')],
  },
])

const uploads = row('Uploads, followers', 6, [
  {
    title: 'Uploads',
    description: 'By their answer; repeated ones had come before. refused is their caller’s fault, failed is ours.',
    unit: 'cps',
    queries: [by('outcome', 'rates_api_uploads_total')],
  },
  {
    title: 'Chunks of resumable uploads',
    description: 'By their answer; repeated ones were stored before.',
    unit: 'cps',
    queries: [by('outcome', 'rates_api_chunks_total')],
  },
  {
    title: 'Bytes of uploads',
    description: 'Of uploads and of chunks, as they come.',
    unit: 'Bps',
    queries: [all('rates_api_upload_bytes_total', 'bytes')],
  },
  {
    title: 'Going on',
    description: 'Uploads, chunks, and callers who wait for a batch or follow batches. Each has its limit a process.',
    unit: 'short',
    queries: [
      sum('rates_api_uploads_in_progress', 'uploads'),
      sum('rates_api_chunks_in_progress', 'chunks'),
      { expr: `sum by (kind) (rates_watchers{${NAMESPACE}})`, legend: 'followers: {{kind}}' },
    ],
  },
])

const webhooks = row('Webhooks', 8, [
  {
    title: 'Webhooks',
    description: 'Attempts by what came of them; given_up was the last one.',
    unit: 'cps',
    queries: [by('outcome', 'rates_webhooks_total')],
  },
  {
    title: 'Webhooks that wait',
    description: 'Those that their receiver has not taken yet.',
    unit: 'short',
    queries: [most('rates_webhooks_pending', 'webhooks')],
  },
  {
    title: 'Oldest webhook',
    description: 'How long the oldest of them waits.',
    unit: 's',
    queries: [most('rates:webhooks_oldest_age:seconds', 'oldest')],
    limit: 900,
  },
])

export const doors = dashboard({
  uid: 'rates-doors',
  title: 'Rates: doors',
  description: 'What comes and goes by queries, claims, objects, uploads and webhooks.',
  from: '1h',
  rows: [queries, claims, objects, uploads, webhooks],
})
