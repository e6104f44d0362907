import { warmWorkers, type Section } from '../bench.ts'
import { baseCell, measureCell, type MeasuredCell } from '../cells.ts'
import { originalSchema } from '../copy.ts'
import { BATCH_SIZE, CONNECT, DEBEZIUM, fetchDebezium, runDebezium, sendRows, TASKS } from '../debezium.ts'
import { grouped, mib, seconds, short, times } from '../numbers.ts'
import { atLeast } from '../table.ts'

export interface DebeziumResult {
  ours: MeasuredCell
  runs: { keys: boolean; seconds: number; rowsPerSecond: number; peakBytes: number }[]
}

/** The same rows by what people put between Kafka and PostgreSQL. */
export const debezium: Section<DebeziumResult> = {
  async run(bench) {
    const { plan, site, step } = bench
    await warmWorkers(bench, site, 2)
    const ours = await measureCell(bench, site, baseCell(plan.rows))
    const jars = await fetchDebezium(step)
    await site.stopWorkers()
    await sendRows(bench, { rows: plan.rows, order: 'pair' })
    const runs: DebeziumResult['runs'] = []
    for (const keys of [false, true]) {
      await site.db.query(originalSchema(keys))
      await site.db.query('checkpoint')
      const { seconds: took, peakBytes } = await runDebezium(bench, jars, 'original.prices', plan.rows)
      step(`  Debezium ${keys ? 'with' : 'without'} keys: ${took.toFixed(1)} s`)
      runs.push({ keys, seconds: took, rowsPerSecond: Math.round(plan.rows / took), peakBytes })
    }
    await site.db.query('drop schema original cascade')
    return { ours, runs }
  },

  tables: ({ ours, runs }) => [
    {
      title: `${short(ours.rows)} rows from Kafka into PostgreSQL, in order of pairs`,
      head: ['', 'time', 'rows/s', 'our time', 'highest memory'],
      rows: [
        ['this', seconds(ours.seconds), grouped(ours.rowsPerSecond), '', mib(ours.peaks.worker)],
        ...runs.map((run) => [
          `Debezium JDBC sink, index${run.keys ? ' and keys' : ' alone'}`,
          seconds(run.seconds),
          grouped(run.rowsPerSecond),
          times(run.seconds / ours.seconds),
          mib(run.peakBytes),
        ]),
      ],
      note: `Debezium ${DEBEZIUM} on Kafka Connect ${CONNECT}, tuned: unnest inserts, batch.size ${grouped(BATCH_SIZE)}, ${TASKS} tasks, the schema not in each record; from its first rows in the table to the last, its start left out.`,
    },
  ],

  checks: ({ ours, runs }) =>
    runs.map((run) =>
      atLeast(
        `as fast as tuned Debezium with index${run.keys ? ' and keys' : ' alone'}`,
        run.seconds / ours.seconds,
        20,
        times,
      ),
    ),
}
