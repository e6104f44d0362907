import { warmWorkers, type Section } from '../bench.ts'
import { baseCell, measureCell, type MeasuredCell } from '../cells.ts'
import { copyFiles, originalSchema } from '../copy.ts'
import { seconds, short, times } from '../numbers.ts'
import { atMost } from '../table.ts'

export interface RejectedResult {
  rows: number
  /** Clean, one row in a hundred bad, all bad. */
  cells: MeasuredCell[]
  /** What `\copy` says of the batch with one bad row in a hundred, after how many seconds. */
  copy: { seconds: number; said: string }
}

const label = ({ badEvery }: MeasuredCell): string =>
  badEvery === 0 ? 'clean' : badEvery === 1 ? 'all rows bad' : `one row in ${badEvery} bad`

/** What it costs to tell all bad rows of a batch, until it has failed. */
export const rejected: Section<RejectedResult> = {
  async run(bench) {
    const { plan, site, inputs, program, step } = bench
    const base = baseCell(plan.rows)
    await warmWorkers(bench, site, base.workers)
    const cells: MeasuredCell[] = []
    for (const badEvery of [0, 100, 1]) cells.push(await measureCell(bench, site, { ...base, badEvery }))
    await site.db.query(originalSchema(true))
    const started = performance.now()
    const file = await inputs.csv({ rows: plan.rows, order: 'pair', badEvery: 100 })
    const said = await copyFiles(site.url, 'original.prices', [file], program).then(
      () => {
        throw new Error('\\copy has taken bad rows')
      },
      (error: Error) => /ERROR:[^\n]*/.exec(error.message)?.[0] ?? error.message,
    )
    const copy = { seconds: (performance.now() - started) / 1000, said }
    step(`  \\copy: ${said}`)
    await site.db.query('drop schema original cascade')
    return { rows: plan.rows, cells, copy }
  },

  tables: ({ rows, cells, copy }) => [
    {
      title: `${short(rows)} rows of which some break a rule, until the batch has failed and every bad row is told`,
      head: ['', 'time', 'of a clean load', 'WAL B/row'],
      rows: cells.map((cell) => [
        label(cell),
        seconds(cell.seconds),
        times(cell.seconds / cells[0]!.seconds),
        cell.walBytesPerRow.toFixed(0),
      ]),
      note: `\`\\copy\` ends at the first bad row, after ${seconds(copy.seconds)}: \`${copy.said}\`. It tells no other.`,
    },
  ],

  checks: ({ cells: [clean, some, all] }) => [
    atMost('a batch with 1 % bad rows, of a clean load', some!.seconds / clean!.seconds, 1.3, times),
    atMost('a batch of bad rows only, of a clean load', all!.seconds / clean!.seconds, 1.3, times),
  ],
}
