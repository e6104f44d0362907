import { warmWorkers, type Section } from '../bench.ts'
import { baseCell, measureCell, type MeasuredCell } from '../cells.ts'
import { makeHistory } from '../history.ts'
import { mib, short } from '../numbers.ts'
import { cellTable } from './load.ts'

export interface HistoryResult {
  rows: number
  /** Of the packs and their indexes. */
  bytes: number
  cells: MeasuredCell[]
}

/** The base cells beside years of prices. */
export const history: Section<HistoryResult> = {
  async run(bench) {
    const { plan, site, step } = bench
    await warmWorkers(bench, site, 2)
    const { rows } = await makeHistory(site, plan.historyRows, step)
    const { rows: size } = await site.db.query<{ bytes: number }>(
      `select pg_total_relation_size('price_packs')::float8 as bytes`,
    )
    const cells: MeasuredCell[] = []
    for (const order of ['pair', 'random'] as const) {
      cells.push(await measureCell(bench, site, { ...baseCell(plan.rows), order, history: rows }))
    }
    return { rows, bytes: size[0]!.bytes, cells }
  },

  tables: ({ rows, bytes, cells }) => [
    cellTable(
      `${short(cells[0]!.rows)} rows beside ${short(rows)} rows of history`,
      cells,
      ({ order }) => (order === 'pair' ? 'in order of pairs' : 'in random order'),
      `The history takes ${mib(bytes)} with its indexes. The others load into empty tables only, which favours them.`,
    ),
  ],

  checks: () => [],
}
