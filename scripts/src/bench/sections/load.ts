import { STOCK, warmWorkers, type Section } from '../bench.ts'
import { baseCell, CONTENDERS, measureCell, type Cell, type Contender, type MeasuredCell } from '../cells.ts'
import { grouped, mib, seconds, short, times } from '../numbers.ts'
import { atLeast, type Check, type Table } from '../table.ts'

export interface LoadResult {
  rows: number
  program: 'psql' | 'pg'
  cells: MeasuredCell[]
}

export const CONTENDER_NAMES: Record<Contender, string> = {
  this: 'this',
  original: '`\\copy`, original schema',
  'original-no-keys': '`\\copy`, original, no keys',
  heap: '`COPY` of ids, bare heap',
}

/** Each dimension is varied from the base cell, not their whole product. */
export const load: Section<LoadResult> = {
  async run(bench) {
    const { plan, site, step } = bench
    const base = baseCell(plan.rows)
    const all = (cell: Cell): Cell[] => CONTENDERS.map((contender) => ({ ...cell, contender }))
    const tuned: Cell[] = [
      ...plan.sizes.flatMap((rows) => all({ ...base, rows })),
      ...all({ ...base, order: 'random' }),
      ...all({ ...base, batches: plan.smallCut }).filter(({ contender }) => contender !== 'heap'),
    ]
    const stock = (['pair', 'random'] as const).flatMap((order) =>
      all({ ...base, order, database: 'stock' }).filter((cell) => order === 'pair' || cell.contender === 'this'),
    )
    const cells: MeasuredCell[] = []
    await warmWorkers(bench, site, base.workers)
    for (const cell of tuned) cells.push(await measureCell(bench, site, cell))
    await site.stopWorkers()
    step('starting PostgreSQL as it comes')
    const other = await bench.openSite('stock', STOCK)
    try {
      await warmWorkers(bench, other, base.workers)
      for (const cell of stock) cells.push(await measureCell(bench, other, cell))
    } finally {
      await other.close()
    }
    await site.db.query('drop schema if exists original cascade; drop schema if exists bare cascade')
    return { rows: plan.rows, program: bench.program, cells }
  },

  tables({ rows, program, cells }) {
    const base = (cell: MeasuredCell): boolean => cell.rows === rows && cell.batches === 1
    const producer = cells.find((cell) => cell.contender === 'this' && base(cell))
    const copy = program === 'psql' ? '' : ' There is no psql here: `\\copy` is COPY FROM STDIN by the driver.'
    const sent =
      producer?.sendSeconds &&
      `The producer's side, apart: ${grouped(rows / producer.sendSeconds)} rows/s read, cut, hashed and acknowledged.`
    const part = (
      title: string,
      of: (cell: MeasuredCell) => boolean,
      label: (cell: MeasuredCell) => string,
      note?: string,
    ): Table[] => {
      const chosen = cells.filter(of)
      if (chosen.length === 0) return []
      return [cellTable(title, chosen, label, note)]
    }
    return [
      ...part(
        `${short(rows)} rows, tuned PostgreSQL`,
        (cell) => base(cell) && cell.database === 'tuned',
        ({ order }) => (order === 'pair' ? 'in order of pairs' : 'in random order'),
        `${sent || ''}${copy}`.trim() || undefined,
      ),
      ...part(
        'Other sizes, in order of pairs, tuned PostgreSQL',
        (cell) => !base(cell) && cell.batches === 1,
        (cell) => short(cell.rows),
      ),
      ...part(
        `The same ${short(rows)} rows in many batches, each a transaction`,
        (cell) => cell.batches > 1,
        (cell) => `${cell.batches} batches of ${grouped(cell.rows / cell.batches)}`,
      ),
      ...part(
        `${short(rows)} rows, PostgreSQL as it comes`,
        (cell) => cell.database === 'stock',
        ({ order }) => (order === 'pair' ? 'in order of pairs' : 'in random order'),
      ),
    ]
  },

  checks({ rows, cells }) {
    const cell = (contender: Contender, order = 'pair'): MeasuredCell | undefined =>
      cells.find(
        (each) =>
          each.contender === contender &&
          each.order === order &&
          each.rows === rows &&
          each.batches === 1 &&
          each.database === 'tuned',
      )
    const ours = cell('this')
    const random = cell('this', 'random')
    if (!ours || !random) return []
    const rate = (value: number): string => `${grouped(value)} rows/s`
    const ratio = (contender: Contender): number => cell(contender)!.seconds / ours.seconds
    const size = short(rows)
    return [
      atLeast(`${size} rows in order of pairs, Kafka to visible`, ours.rowsPerSecond, 1_000_000, rate),
      atLeast(`${size} rows in random order`, random.rowsPerSecond, 400_000, rate),
      atLeast('as fast as `\\copy` into the original schema, index and keys', ratio('original'), 15, times),
      atLeast('as fast as `\\copy` without the keys', ratio('original-no-keys'), 4, times),
      atLeast('the moonshot: as fast as a bare `COPY` into an unindexed heap', ratio('heap'), 1, times),
    ] satisfies Check[]
  },
}

/** Rates and ratios: each contender beside ours of the same conditions. */
export function cellTable(
  title: string,
  cells: readonly MeasuredCell[],
  label: (cell: MeasuredCell) => string,
  note?: string,
): Table {
  const rows = cells.map((cell) => {
    const ours = cells.find((each) => each.contender === 'this' && label(each) === label(cell))
    const { peaks } = cell
    return [
      CONTENDER_NAMES[cell.contender],
      label(cell),
      seconds(cell.seconds),
      grouped(cell.rowsPerSecond),
      ours && cell !== ours ? times(cell.seconds / ours.seconds) : '',
      cell.walBytesPerRow.toFixed(0),
      cell.contender === 'this' && peaks.worker > 0 ? mib(peaks.worker) : '',
      peaks.postgres > 0 ? mib(peaks.postgres) : '',
      cell.contender === 'this' && peaks.broker > 0 ? mib(peaks.broker) : '',
    ]
  })
  const head = ['', '', 'time', 'rows/s', 'our time', 'WAL B/row', 'worker', 'PostgreSQL', 'broker']
  return { title, head, rows, ...(note !== undefined && { note }) }
}
