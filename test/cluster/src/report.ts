import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { grouped, ms, percentile, seconds, short, type Spread } from '@rates/scripts/bench/numbers'
import { fillBlocks } from '@rates/scripts/bench/report'
import { decades, lineChart } from '@rates/scripts/bench/svg'
import { asMarkdown, type Table } from '@rates/scripts/bench/table'
import { type Checked } from './check.ts'
import { type Outcome } from './load/outcomes.ts'
import { loadFigures, type LoadFigures, type Phase, type PhaseFigures } from './phases.ts'
import { type PodStory } from './pod-watch.ts'
import { root } from './settings.ts'

export interface RolloutResults {
  figures: PhaseFigures[]
  reads: readonly Outcome[]
  uploads: readonly Outcome[]
  batches: readonly Outcome[]
  checked: Checked
  seen: { samples: number; nothing: number; all: number }
  drains: ReadonlyMap<string, Spread>
  pods: readonly PodStory[]
  /** Of the cluster: versions, cores. */
  place: string
  load: string
}

const cell = ({ requests, failed, retried }: LoadFigures): string =>
  `${grouped(requests)}${failed > 0 ? `, ${failed} failed` : ''}${retried > 0 ? `, ${retried} again` : ''}`

export function eventsTable(figures: readonly PhaseFigures[]): Table {
  return {
    title: 'Events',
    head: ['', 'event', 'time', 'reads', 'p50', 'p99', 'max', 'uploads', 'batches', ''],
    rows: figures.map(({ phase, reads, uploads, batches }, i) => [
      String(i + 1),
      phase.name,
      seconds((phase.to - phase.from) / 1000),
      cell(reads),
      ...(reads.spread ? [ms(reads.spread.p50), ms(reads.spread.p99), ms(reads.spread.max)] : ['', '', '']),
      cell(uploads),
      cell(batches),
      phase.note ?? '',
    ]),
  }
}

export function totalsTable({ reads, uploads, batches, checked, seen, pods }: RolloutResults): Table {
  const [r, u, b] = [loadFigures(reads), loadFigures(uploads), loadFigures(batches)]
  const count = (kind: Checked['violations'][0]['invariant']): string =>
    String(checked.violations.filter(({ invariant }) => invariant === kind).length)
  const told = pods.filter(({ stopping }) => stopping !== undefined)
  const ended = told.filter(({ exitCode }) => exitCode !== undefined)
  return {
    title: 'In all',
    head: ['', ''],
    rows: [
      ['reads: sent, failed, sent again', [r.requests, r.failed, r.retried].map(grouped).join(', ')],
      ['uploads: sent, failed, sent again', [u.requests, u.failed, u.retried].map(grouped).join(', ')],
      ['Kafka batches: sent, failed, sent again', [b.requests, b.failed, b.retried].map(grouped).join(', ')],
      ['batches acknowledged, rows', `${grouped(checked.batches)}, ${grouped(checked.rows)}`],
      ['lost, or in another state than `succeeded` (I1)', count('I1')],
      ['applied twice or differently (I2)', count('I2')],
      ['seen in part (I3)', `${count('I3')}; ${grouped(seen.samples)} samples while ${grouped(seen.all)} had all`],
      ['ledger, reply and data disagree (I4)', count('I4')],
      ['distinct replies, records of them', `${grouped(checked.distinctReplies)}, ${grouped(checked.replies)}`],
      ['more or less than one distinct reply (I5)', count('I5')],
      ['left over (I6)', count('I6')],
      ['pods told to end, of them with exit code 0', `${told.length}, ${ended.filter((p) => p.exitCode === 0).length}`],
    ],
  }
}

export function podsTable(drains: ReadonlyMap<string, Spread>, pods: readonly PodStory[]): Table {
  const starts = (component: string): number[] =>
    pods.flatMap(({ component: of, created, ready }) =>
      of === component && ready !== undefined ? [(ready - created) / 1000] : [],
    )
  return {
    title: 'Pods',
    head: ['', 'ended', 'drain p50', 'p95', 'max', 'from created to ready, p50'],
    rows: [...drains].map(([component, drain]) => [
      component,
      String(drain.count),
      seconds(drain.p50),
      seconds(drain.p95),
      seconds(drain.max),
      seconds(percentile(starts(component), 50)),
    ]),
  }
}

/** p50 and p99 of reads every few seconds, the events' numbers below. */
export function plot(reads: readonly Outcome[], phases: readonly Phase[]): string {
  const answered = reads.filter(({ failed }) => failed === undefined)
  const start = Math.min(...phases.map(({ from }) => from))
  const step = 5_000
  const buckets = [...Map.groupBy(answered, ({ at }) => Math.floor((at - start) / step))].sort(([a], [b]) => a - b)
  const line = (percent: number) => ({
    label: `p${percent}`,
    points: buckets.map(([bucket, all]) => ({
      x: ((bucket + 0.5) * step) / 60_000,
      y: percentile(
        all.map((each) => Math.max(0.1, each.ms)),
        percent,
      ),
    })),
  })
  const lines = [line(50), line(99)]
  const ticks = phases.map(({ from }) => (from - start) / 60_000)
  return lineChart(
    'Reads while the system is rolled, every 5 s',
    lines,
    {
      label: 'events, by their numbers in the table',
      told: (value) => String(ticks.indexOf(value) + 1),
      scale: 'linear',
      ticks,
    },
    {
      label: 'ms from the moment a read was due to its answer',
      told: (value) => short(value),
      scale: 'log',
      ticks: decades(lines.flatMap(({ points }) => points.map(({ y }) => y))),
    },
  )
}

/** Everything as JSON, for who wants to know more. */
export async function saveResults(results: RolloutResults, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  const { drains, ...rest } = results
  const content = { ...rest, drains: Object.fromEntries(drains) }
  await writeFile(path.join(folder, 'rollouts.json'), JSON.stringify(content, null, 1))
}

/** Fills docs/rollouts.md and draws its plot. */
export async function writeReport(results: RolloutResults): Promise<void> {
  const tables = [eventsTable(results.figures), totalsTable(results), podsTable(results.drains, results.pods)]
  await fillReport(tables, { place: results.place, load: results.load })
  const folder = path.join(root, 'docs', 'plots')
  await mkdir(folder, { recursive: true })
  const phases = results.figures.map(({ phase }) => phase)
  await writeFile(path.join(folder, 'rollouts.svg'), plot(results.reads, phases))
}

/** Puts tables and sentences into their places of docs/rollouts.md. */
export async function fillReport(tables: readonly Table[], sentences: Record<string, string> = {}): Promise<void> {
  const document = path.join(root, 'docs', 'rollouts.md')
  const blocks = new Map(Object.entries(sentences))
  for (const table of tables) {
    blocks.set(table.title.toLowerCase().replaceAll(' ', '-'), asMarkdown({ ...table, title: '' }))
  }
  await writeFile(document, fillBlocks(await readFile(document, 'utf8'), blocks))
}
