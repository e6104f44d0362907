import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { chunkRecords, testBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { factsOf, succeeded } from '@rates/testing/facts'
import { startLine, type Line } from '@rates/testing/line'
import { waitingFor } from '@rates/testing/lock-waits'
import { holdPacks } from '@rates/testing/workers'
import { startTestWorker } from './test-worker.ts'

// Two records of one chunk, in the hands of two workers at once: neither has seen the other's when it looks.

let line: Line
beforeAll(async () => {
  // Records go round the partitions: one after the other they are with different workers.
  line = await startLine({ partitions: 2 })
  await Promise.all([startTestWorker(line), startTestWorker(line)])
})
afterAll(() => line.close())

async function stored(id: string): Promise<number> {
  const { rows } = await line.pool.query<{ n: number }>(
    'select count(*)::int as n from batch_chunks join batches on no = batch_no where id = $1',
    [id],
  )
  return rows[0]!.n
}

it('what the second one tells of the batch is not lost', async () => {
  const batch = testBatch(200)
  const cut = (total: 'none' | 'last') =>
    chunkRecords(line.topics.batches, { batchId: batch.id }, batch.lines, { chunks: 2, total })
  const [[first, untold], [, told]] = [await cut('none'), await cut('last')]
  await line.send([first!])
  await eventually(async () => (await stored(batch.id)) === 1, { what: 'the first chunk being stored' })
  // The one that tells nothing is stored, and not committed: the other one waits for that.
  const packs = await holdPacks(line)
  await line.send([untold!])
  await packs.waiting(1)
  await line.send([told!])
  await waitingFor(line.pool, 'insert into batch_chunks')
  await packs.release()
  await line.reply(batch.id)
  expect(await factsOf(line, batch)).toEqual(succeeded(batch))
})

it('another content under its number is told to be a conflict', async () => {
  const [batch, other] = [testBatch(200), testBatch(200)]
  const cut = async (lines: readonly string[]) =>
    (await chunkRecords(line.topics.batches, { batchId: batch.id }, lines, { chunks: 2, total: 'none' }))[1]!
  const chunks = await holdPacks(line, 'batch_chunks')
  await line.send([await cut(batch.lines)])
  await chunks.waiting(1)
  await line.send([await cut(other.lines)])
  await chunks.waiting(2)
  await chunks.release()
  expect(await line.reply(batch.id)).toMatchObject({ state: 'id_conflict' })
})
