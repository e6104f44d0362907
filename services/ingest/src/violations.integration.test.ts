import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { csv, testBatch } from '@rates/testing/batches'
import { startLine, type Line } from '@rates/testing/line'
import { sum, parseMetrics } from '@rates/testing/metrics-text'
import { Registry } from 'prom-client'
import { startTestWorker } from './test-worker.ts'
import { ViolationWatch } from './system-metrics.ts'
import { findViolations } from './violations.ts'

let line: Line
beforeAll(async () => {
  line = await startLine()
  await startTestWorker(line)
})
afterAll(() => line.close())

async function ended(rows: number, bad: string[] = []): Promise<string> {
  const batch = testBatch(rows)
  const value = csv([...batch.lines, ...bad])
  await line.send([{ topic: line.topics.batches, headers: { 'batch-id': batch.id }, value }])
  await line.reply(batch.id)
  return batch.id
}

it('what must never be is found, by batch, and counted once', async () => {
  const [none, hidden, rows] = [await ended(10), await ended(10), await ended(10)]
  await ended(10, ['CNGGZ,NLRTX,2026-01-01,5'])
  expect(await findViolations(line.pool)).toEqual(new Map())
  const open = testBatch(1).id
  await line.pool.query('delete from outbox where batch_id = $1', [none])
  await line.pool.query('insert into hidden_batches select no from batches where id = $1', [hidden])
  await line.pool.query('update batches set rows_accepted = 11 where id = $1', [rows])
  await line.pool.query(`insert into batches (id, state) values ($1, 'open')`, [open])
  const found = {
    outcome_without_reply: [none],
    succeeded_but_hidden: [hidden],
    visible_but_not_succeeded: [open],
    rows_differ_from_chunks: [rows],
  }
  expect(Object.fromEntries(await findViolations(line.pool))).toEqual(found)

  const registry = new Registry()
  const watch = new ViolationWatch(line.pool, registry, line.kafka.log)
  const count = async (): Promise<number> =>
    sum(parseMetrics(await registry.metrics()), 'rates_ingest_invariant_violations_total')
  expect(await count()).toBe(0)
  await watch.look()
  await watch.look()
  expect(await count()).toBe(4)
})
