import { flowRow, kafkaRow, nodeRow, postgresRow, readsRow } from './bottleneck-rows.ts'
import { dashboard, NAMESPACE } from './build.ts'
import { graph, stat } from './panel.ts'

const INFO = `rates:bottleneck:info{${NAMESPACE}}`

/** The verdict's label, or "none", which has the value 0. */
const verdict = (label: string): string =>
  `max by (${label}) (${INFO}) or label_replace(absent(${INFO}) - 1, "${label}", "none", "", "")`

const VERDICT_COLOURS: [number | null, string][] = [
  [null, 'green'],
  [0.01, 'orange'],
]

const verdictRow = {
  title: 'Verdict',
  panels: [
    stat({
      title: 'Bottleneck',
      description:
        'The stage that holds the others up: the one with the highest score, if the loop of a worker is at work for more than half of its time. None: more load would get through.',
      unit: 'none',
      queries: [{ expr: verdict('stage'), legend: '{{stage}}' }],
      width: 4,
      name: true,
      colours: VERDICT_COLOURS,
    }),
    stat({
      title: 'Why',
      description:
        'What that stage does with most of its time. cpu: it computes; db: it waits for PostgreSQL; db_lock: for a lock there; pool: for a connection; broker: for Kafka.',
      unit: 'none',
      queries: [{ expr: verdict('cause'), legend: '{{cause}}' }],
      width: 4,
      name: true,
      colours: VERDICT_COLOURS,
    }),
    stat({
      title: 'Drain time',
      description: 'Rows waiting by rows a second: when all that waits now is done. Endless where nothing gets done.',
      unit: 's',
      queries: [{ expr: `max(rates:ingest_drain:seconds{${NAMESPACE}})`, legend: 'drain' }],
      width: 4,
      colours: [
        [null, 'green'],
        [60, 'orange'],
        [600, 'red'],
      ],
    }),
    stat({
      title: 'Earliest slack',
      description:
        'Time left until the earliest deadline of an open batch; negative: it is late. Compare it with the drain time.',
      unit: 's',
      queries: [{ expr: `min(rates:ingest_slack:seconds{${NAMESPACE}})`, legend: 'slack' }],
      width: 4,
      none: 'no deadline',
      colours: [
        [null, 'red'],
        [0, 'orange'],
        [30, 'green'],
      ],
    }),
    stat({
      title: 'Oldest batch',
      description: 'How long the oldest batch that has no outcome yet is open. A slow sender makes it old, too.',
      unit: 's',
      queries: [{ expr: `max(rates:ingest_oldest_age:seconds{${NAMESPACE}})`, legend: 'age' }],
      width: 4,
      none: 'none open',
      colours: [
        [null, 'green'],
        [300, 'orange'],
        [1800, 'red'],
      ],
    }),
    stat({
      title: 'Waiting',
      description: 'Rows that lie in Kafka and no worker has stored yet: unread records by the mean of rows a record.',
      unit: 'short',
      queries: [{ expr: `sum(rates:ingest_backlog:rows{${NAMESPACE}})`, legend: 'rows' }],
      width: 4,
    }),
    graph({
      title: 'Scores',
      description:
        'Of each stage, the part of its time in which it works or waits for what is its own. The four stages of the loop (decode, validate, copy, publish) share its time: what counts is their sum above 0.5. Of fetch and respond their own score counts.',
      unit: 'percentunit',
      queries: [
        { expr: `avg by (stage) (rates:stage_score:ratio_rate1m{${NAMESPACE}})`, legend: '{{stage}}' },
        { expr: `avg(rates:loop_score:ratio_rate1m{${NAMESPACE}})`, legend: 'the loop together' },
      ],
      width: 12,
      max: 1,
      lines: true,
      colours: [
        [null, 'transparent'],
        [0.5, 'orange'],
      ],
    }),
    graph({
      title: 'Why, of each stage',
      description: 'The scores by cause: the largest part of the named stage is the verdict’s cause.',
      unit: 'percentunit',
      queries: [
        {
          expr: `avg by (stage, cause) (rates:stage_part:ratio_rate1m{${NAMESPACE}}) > 0.005`,
          legend: '{{stage}} {{cause}}',
        },
      ],
      width: 12,
      stacked: true,
    }),
  ],
}

/** Busy, blocked and idle of a stage add up to its workers. */
const budgetOf = (stage: string): string => {
  const rate = (state: string, labels = ''): string =>
    `rate(rates_ingest_stage_${state}_seconds_total{stage="${stage}",${NAMESPACE}${labels}}[$__rate_interval])`
  return `sum by (state) (label_replace(${rate('busy')}, "state", "busy", "", "") or label_replace(${rate('blocked')}, "state", "waits for $1", "on", "(.+)") or label_replace(${rate('idle')}, "state", "idle", "", "")) > 0`
}

const STAGES: Readonly<Record<string, string>> = {
  fetch: 'Reads records of both lanes from Kafka. It waits for downstream while records that it has read are in hand.',
  decode: 'Decompresses a record and reads its headers.',
  validate: 'Reads rows, checks each of them, makes packs.',
  copy: 'Stores packs by COPY, and the chunk in the ledger.',
  publish: 'Makes a complete batch visible, all of it in one transaction.',
  respond: 'Sends replies from the outbox; one worker at a time is the relay, of the others this is idle.',
}

/** What is the stage's own is coloured, what is not is grey. */
const STATES = {
  busy: '#56a64b',
  'waits for db': '#ff9830',
  'waits for db_lock': '#e02f44',
  'waits for pool': '#a352cc',
  'waits for broker': '#3274d9',
  'waits for downstream': '#c7c7c7',
  idle: '#ececec',
}

const budgetRow = {
  title: 'What workers do with their time, stage by stage',
  panels: [
    ...Object.entries(STAGES).map(([stage, what]) =>
      graph({
        title: stage,
        description: `${what} In workers: the height is how many there are of this stage. A stage of the loop waits for downstream while the loop is in a later one.`,
        unit: 'short',
        queries: [{ expr: budgetOf(stage), legend: '{{state}}' }],
        width: 8,
        height: 6,
        stacked: true,
        palette: STATES,
      }),
    ),
    graph({
      title: 'Time in a stage (p99)',
      description:
        'What one record takes in each stage, once in a hundred; "wait" is from its record time until a worker takes it.',
      unit: 's',
      queries: [
        {
          expr: `histogram_quantile(0.99, sum by (stage, le) (rate(rates_ingest_stage_duration_seconds_bucket{${NAMESPACE}}[$__rate_interval])))`,
          legend: '{{stage}}',
        },
      ],
      width: 12,
    }),
    graph({
      title: 'At work, by worker',
      description:
        'The part of time in which the loop of a worker has records in hand. One far above the others has the partitions with the most load: the verdict, a mean of all, may name nothing.',
      unit: 'percentunit',
      queries: [
        {
          expr: `1 - sum by (instance) (rate(rates_ingest_stage_idle_seconds_total{stage="decode",${NAMESPACE}}[$__rate_interval])) / sum by (instance) (rates_ingest_stage_workers{stage="decode",${NAMESPACE}})`,
          legend: '{{instance}}',
        },
      ],
      width: 12,
      max: 1,
    }),
  ],
}

export const bottleneck = dashboard({
  uid: 'rates-bottleneck',
  title: 'Rates: bottleneck',
  description: 'Which stage is the bottleneck, and why.',
  from: '30m',
  rows: [verdictRow, flowRow, budgetRow, kafkaRow, nodeRow, postgresRow, readsRow],
})
