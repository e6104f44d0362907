import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { chunkRecords, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { expectInvariants } from '@rates/testing/invariants'
import { startLine, type Line } from '@rates/testing/line'
import { observe } from '@rates/testing/observer'
import { startTestWorker } from './test-worker.ts'

let line: Line
beforeAll(async () => {
  line = await startLine({ partitions: 4 })
  await Promise.all([startTestWorker(line), startTestWorker(line)])
})
afterAll(() => line.close())

describe('a batch of 200 000 rows', () => {
  it('is seen all at once or not at all, whoever reads, whenever', async () => {
    // Both workers take part.
    const chunked = (each: TestBatch, chunks: number) =>
      chunkRecords(line.topics.bulk, { batchId: each.id }, each.lines, { chunks, total: 'last' })
    const warm: TestBatch[] = []
    await eventually(async () => {
      const small = testBatch(40)
      warm.push(small)
      await line.send(await chunked(small, 8))
      await line.reply(small.id)
      return (await line.pool.query('select distinct worker from batch_chunks')).rowCount === 2
    })
    const batch = testBatch(200_000, { sorted: true })
    const observer = await observe(line, [{ batch }], { everyMilliseconds: 0 })
    await line.send(await chunked(batch, 20))
    await line.reply(batch.id)
    await observer.sampled()
    const observation = await observer.stop()
    const seen = observation.seen.get(batch.id)!
    expect(seen.nothing).toBeGreaterThan(6)
    expect(seen.all).toBeGreaterThan(1)
    const sent = [batch, ...warm].map((each) => ({ batch: each }))
    await expectInvariants(line, sent, { observation })
    const { rows } = await line.pool.query<{ workers: number }>(
      'select count(distinct worker)::int as workers from batch_chunks join batches on no = batch_no where id = $1',
      [batch.id],
    )
    expect(rows[0]).toEqual({ workers: 2 })
  })
})
