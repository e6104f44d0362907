import { type Bench } from './bench.ts'
import { bareHeap, copyFiles, originalSchema } from './copy.ts'
import { median } from './numbers.ts'
import { loadBatch, loadSmall, type Outcome } from './product.ts'
import { type Order, type RowsSpec } from './rows.ts'
import { type Site } from './site.ts'
import { type Peaks } from './processes.ts'

export const CONTENDERS = ['this', 'original', 'original-no-keys', 'heap'] as const
export type Contender = (typeof CONTENDERS)[number]

/** One line of a table: a contender under one set of conditions. */
export interface Cell {
  contender: Contender
  rows: number
  order: Order
  /** Rows are cut into so many batches, each in a transaction of its own. */
  batches: number
  badEvery: number
  database: 'tuned' | 'stock'
  /** Rows that the product's tables held before. */
  history: number
  workers: number
}

export interface MeasuredCell extends Cell {
  /** The median of `all`. */
  seconds: number
  all: number[]
  rowsPerSecond: number
  walBytesPerRow: number
  peaks: Peaks
  /** The producer's side, apart. */
  sendSeconds?: number
}

export const baseCell = (rows: number): Cell => ({
  contender: 'this',
  rows,
  order: 'pair',
  batches: 1,
  badEvery: 0,
  database: 'tuned',
  history: 0,
  workers: 2,
})

interface Run {
  seconds: number
  sendSeconds?: number
}

/** Runs a cell as often as the plan says. Its workers are running and warm. */
export async function measureCell(bench: Bench, site: Site, cell: Cell): Promise<MeasuredCell> {
  const { plan, step } = bench
  const once = await (cell.contender === 'this' ? productRun(bench, site, cell) : copyRun(bench, site, cell))
  const runs: Run[] = []
  const wals: number[] = []
  const peaks: Peaks[] = []
  const started = performance.now()
  do {
    await once.before()
    const measured = await site.measure(once.work)
    runs.push(measured.result)
    wals.push(measured.walBytes)
    peaks.push(measured.peaks)
  } while (runs.length < plan.runs && performance.now() - started < plan.cellSeconds * 1000)
  const all = runs.map((run) => run.seconds)
  const seconds = median(all)
  step(`  ${nameOf(cell)}: ${all.map((each) => each.toFixed(2)).join(', ')} s`)
  const highest = (part: keyof Peaks): number => Math.max(...peaks.map((each) => each[part]))
  const sends = runs.flatMap(({ sendSeconds }) => (sendSeconds === undefined ? [] : [sendSeconds]))
  return {
    ...cell,
    seconds,
    all,
    rowsPerSecond: Math.round(cell.rows / seconds),
    walBytesPerRow: median(wals) / cell.rows,
    peaks: { worker: highest('worker'), postgres: highest('postgres'), broker: highest('broker') },
    ...(sends.length > 0 && { sendSeconds: median(sends) }),
  }
}

interface Once {
  before(): Promise<void>
  work(): Promise<Run>
}

async function productRun({ inputs }: Bench, site: Site, cell: Cell): Promise<Once> {
  const before = async (): Promise<void> => void (cell.history === 0 && (await site.empty()))
  const spec: RowsSpec = { rows: cell.rows, order: cell.order, badEvery: cell.badEvery }
  if (cell.batches > 1) {
    const { files } = await inputs.split(spec, cell.batches)
    return { before, work: async () => ({ seconds: await loadSmall(site, files, 'cut') }) }
  }
  const file = await inputs.csv(spec)
  const outcome: Outcome = cell.badEvery > 0 ? 'failed' : 'succeeded'
  const work = async (): Promise<Run> => {
    const { loadSeconds, sendSeconds } = await loadBatch(site, file, 'load', outcome)
    return { seconds: loadSeconds, sendSeconds }
  }
  return { before, work }
}

async function copyRun({ inputs, program }: Bench, site: Site, cell: Cell): Promise<Once> {
  const schema = cell.contender === 'heap' ? bareHeap : originalSchema(cell.contender === 'original')
  const table = cell.contender === 'heap' ? 'bare.prices' : 'original.prices'
  const spec: RowsSpec = { rows: cell.rows, order: cell.order, badEvery: cell.badEvery }
  if (cell.contender === 'heap' && cell.batches > 1) throw new Error('the heap is loaded with one COPY')
  const files =
    cell.batches > 1
      ? (await inputs.split(spec, cell.batches)).files
      : [await (cell.contender === 'heap' ? inputs.narrow(spec) : inputs.csv(spec))]
  return {
    before: async () => void (await site.db.query(schema)),
    work: async () => ({ seconds: await copyFiles(site.url, table, files, program) }),
  }
}

export function nameOf(cell: Cell): string {
  const base = baseCell(cell.rows)
  return [
    cell.contender,
    `${cell.rows} rows`,
    ...(cell.order === base.order ? [] : ['random order']),
    ...(cell.batches === 1 ? [] : [`${cell.batches} batches`]),
    ...(cell.badEvery === 0 ? [] : [`one in ${cell.badEvery} bad`]),
    ...(cell.database === 'tuned' ? [] : ['stock']),
    ...(cell.history === 0 ? [] : [`beside ${cell.history} rows`]),
    ...(cell.workers === 2 ? [] : [`${cell.workers} worker`]),
  ].join(', ')
}
