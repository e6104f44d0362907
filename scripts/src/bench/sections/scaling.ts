import { warmWorkers, type Section } from '../bench.ts'
import { baseCell, measureCell, type MeasuredCell } from '../cells.ts'
import { grouped, seconds, short, times } from '../numbers.ts'

export interface ScalingResult {
  cells: MeasuredCell[]
}

/** The same batch by one worker and by two. */
export const scaling: Section<ScalingResult> = {
  async run(bench) {
    const { plan, site } = bench
    const cells: MeasuredCell[] = []
    for (const workers of [1, 2]) {
      await warmWorkers(bench, site, workers)
      for (const order of ['pair', 'random'] as const) {
        cells.push(await measureCell(bench, site, { ...baseCell(plan.rows), order, workers }))
      }
    }
    return { cells }
  },

  tables: ({ cells }) => [
    {
      title: `${short(cells[0]!.rows)} rows by one worker and by two, which share the machine with PostgreSQL and Kafka`,
      head: ['', 'workers', 'time', 'rows/s', 'as fast as one'],
      rows: cells.map((cell) => [
        cell.order === 'pair' ? 'in order of pairs' : 'in random order',
        String(cell.workers),
        seconds(cell.seconds),
        grouped(cell.rowsPerSecond),
        times(cells.find((each) => each.order === cell.order)!.seconds / cell.seconds),
      ]),
    },
  ],

  checks: () => [],
}
