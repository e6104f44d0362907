import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { eventually } from '@rates/testing/eventually'
import { type TestBatch } from '@rates/testing/batches'
import { startLine, type Line, type Watched } from '@rates/testing/line'
import { observe } from '@rates/testing/observer'
import { grouped } from '@rates/scripts/bench/numbers'
import { asText, type Table } from '@rates/scripts/bench/table'
import { check, told } from './check.ts'
import { install, RELEASE, type Installation } from './installation.ts'
import { produce } from './load/batches.ts'
import { loadBatch, month, remembered } from './load/load-batch.ts'
import { kubectl } from './programs.ts'
import { fillReport } from './report.ts'

// Workers are added and taken away while batches of a million rows come. How much faster they become depends on the
// cores that there are: that is measured, not asserted.

const NAMESPACE = 'rates-e2e-scale'
const ROWS = 1_000_000

let installed: Installation
let line: Line
let replies: Watched
const sent: TestBatch[] = []
const measured: string[][] = []

beforeAll(async () => {
  installed = await install(NAMESPACE, { set: ['ingest.replicas=1'] })
  await installed.rolledOut()
  line = await startLine({ databaseUrl: installed.databaseUrl, brokers: installed.brokers, prefix: '' })
  replies = await line.watch(line.topics.replies)
}, 600_000)

afterAll(async () => {
  await line?.close()
  await installed?.close()
}, 300_000)

async function scale(workers: number, wait = true): Promise<void> {
  await installed.upgrade([`ingest.replicas=${workers}`], { wait })
  if (!wait) return
  // Ready workers may still be taking over partitions.
  const pods = ['get', 'deployment', `${RELEASE}-ingest`, '-n', NAMESPACE, '-o', 'jsonpath={.status.readyReplicas}']
  await eventually(async () => Number(await kubectl(pods)) === workers, { within: 120_000, every: 500 })
}

/** Sends a million rows, and does something once a part of them is stored. */
async function load(label: string, act: () => Promise<void> = () => Promise.resolve()): Promise<void> {
  const number = sent.length
  const batch = loadBatch(`scale-${number}`, { rows: ROWS, seed: 2 * number + 2, month: month(1971, number) })
  sent.push(remembered(batch))
  const observer = await observe(line, [{ batch }], { everyMilliseconds: 200 })
  const produced = produce(line, batch)
  await eventually(async () => (await stored(batch.id)) >= 3, {
    within: 120_000,
    every: 20,
    what: 'chunks being stored',
  })
  await act()
  await produced
  expect((await line.reply(batch.id, 300_000)).state).toBe('succeeded')
  await observer.sampled()
  expect(told((await observer.stop()).violations)).toEqual([])
  const { rows } = await line.pool.query<{ seconds: number; workers: number }>(
    `select extract(epoch from max(finished_at) - min(taken_at))::float8 as seconds, count(distinct worker)::int as workers
     from batch_chunks c join batches b on b.no = c.batch_no where b.id = $1`,
    [batch.id],
  )
  const { seconds, workers } = rows[0]!
  measured.push([label, seconds.toFixed(1), grouped(ROWS / seconds), String(workers)])
}

const stored = async (id: string): Promise<number> =>
  (await line.pool.query('select from batch_chunks c join batches b on b.no = c.batch_no where b.id = $1', [id]))
    .rowCount ?? 0

describe('batches of 1 000 000 rows', () => {
  it.each([1, 2, 4])(
    'are loaded by %d workers',
    async (workers) => {
      await scale(workers)
      await load(`${workers} worker${workers > 1 ? 's' : ''}`)
    },
    600_000,
  )

  it('are loaded while four workers become one', () => load('from 4 to 1 meanwhile', () => scale(1, false)), 600_000)

  it('are loaded while one worker becomes four', async () => {
    await scale(1)
    await load('from 1 to 4 meanwhile', () => scale(4, false))
  }, 600_000)

  it('came through whole, once, with one reply each', async () => {
    const table: Table = {
      title: 'Scaling',
      head: ['', 's from the first chunk taken to the outcome', 'rows/s', 'workers that stored chunks'],
      rows: measured,
    }
    process.stderr.write(`\n${asText(table)}\n`)
    if (installed.settings.report) await fillReport([table])
    expect(told((await check(line, sent, replies)).violations)).toEqual([])
  }, 600_000)
})
