import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { chunkRecords, testBatch } from '@rates/testing/batches'
import { factsOf, settled, startLine, succeeded, type Line } from '@rates/testing/line'
import { startTestWorker } from './test-worker.ts'

let line: Line
beforeAll(async () => {
  line = await startLine({ partitions: 4 })
  await Promise.all([startTestWorker(line), startTestWorker(line)])
})
afterAll(() => line.close())

/** As the API reads: one statement, one snapshot. */
const READ = `select coalesce(sum(c), 0)::float8 as count from (
  select (select sum(n) from unnest(n) n) as c from price_packs
  where orig = any(array(select id from ports)) and dest = any(array(select id from ports))
    and month between $1 and $2 and batch_no <> all (array(select batch_no from hidden_batches))) p`
const VIEW = `select count(*)::float8 as count from prices where day between $1 and $2::date + 30`

describe('a batch of 200 000 rows', () => {
  it('is seen all at once or not at all, whoever reads, whenever', async () => {
    const batch = testBatch(200_000, { sorted: true })
    const month = `${batch.month}-01`
    let ended = false
    const poll = async (statement: string): Promise<Map<number, number>> => {
      const seen = new Map<number, number>()
      do {
        const { rows } = await line.pool.query<{ count: number }>(statement, [month, month])
        const { count } = rows[0]!
        seen.set(count, (seen.get(count) ?? 0) + 1)
      } while (!ended)
      return seen
    }
    const readers = Promise.all([poll(READ), poll(VIEW)])
    await line.send(
      await chunkRecords(line.topics.bulk, { batchId: batch.id }, batch.lines, { chunks: 20, total: 'last' }),
    )
    await line.reply(batch.id)
    ended = true
    const [reads, views] = await readers
    for (const seen of [reads, views]) {
      expect([...seen.keys()].filter((count) => count !== 0)).toEqual([200_000])
      expect(seen.get(0)).toBeGreaterThan(3)
    }
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
    const { rows } = await line.pool.query<{ workers: number }>(
      'select count(distinct worker)::int as workers from batch_chunks',
    )
    expect(rows[0]).toEqual({ workers: 2 })
  })

  it('leaves nothing behind', () => settled(line))
})
