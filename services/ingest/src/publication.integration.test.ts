import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { chunkRecords, testBatch } from '@rates/testing/batches'
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
    const batch = testBatch(200_000, { sorted: true })
    const observer = await observe(line, [{ batch }], { everyMilliseconds: 0 })
    await line.send(
      await chunkRecords(line.topics.bulk, { batchId: batch.id }, batch.lines, { chunks: 20, total: 'last' }),
    )
    await line.reply(batch.id)
    await observer.sampled()
    const observation = await observer.stop()
    const seen = observation.seen.get(batch.id)!
    expect(seen.nothing).toBeGreaterThan(6)
    expect(seen.all).toBeGreaterThan(1)
    await expectInvariants(line, [{ batch }], { observation })
    const { rows } = await line.pool.query<{ workers: number }>(
      'select count(distinct worker)::int as workers from batch_chunks',
    )
    expect(rows[0]).toEqual({ workers: 2 })
  })
})
