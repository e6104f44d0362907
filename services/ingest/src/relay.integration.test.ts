import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type Producer } from '@rates/service/kafka'
import { testBatch } from '@rates/testing/batches'
import { startLine, type Line } from '@rates/testing/line'
import { OutboxRelay } from './relay.ts'

let line: Line
beforeAll(async () => {
  line = await startLine({ partitions: 1 })
})
afterAll(() => line.close())

const isThere = () => Promise.resolve(true)

async function enqueue(count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => testBatch(0).id)
  for (const id of ids) {
    await line.pool.query('insert into outbox (reply_id, topic, batch_id, body) values ($1, $2, $3, $4)', [
      `${id}/succeeded`,
      line.topics.replies,
      id,
      JSON.stringify({ batchId: id, note: 'héllo' }),
    ])
  }
  return ids
}

const unsent = async (): Promise<number> =>
  (await line.pool.query<{ n: number }>('select count(*)::int as n from outbox where sent_at is null')).rows[0]!.n

describe('the outbox relay', () => {
  it('sends more than one request’s worth, each once', async () => {
    const ids = await enqueue(250)
    const relay = new OutboxRelay(line.pool, line.producer, isThere, line.kafka.log)
    while ((await relay.runOnce()) > 0);
    expect(await unsent()).toBe(0)
    for (const id of ids) expect(await line.replies(id)).toHaveLength(1)
  })

  it('that dies between Kafka’s acknowledgement and its note repeats the record: same id, same bytes', async () => {
    const [id] = await enqueue(1)
    const dying: Producer = {
      ...line.producer,
      send: async (records) => {
        await line.producer.send(records)
        throw new Error('killed here')
      },
    }
    await expect(new OutboxRelay(line.pool, dying, isThere, line.kafka.log).runOnce()).rejects.toThrow('killed here')
    expect(await unsent()).toBe(1)
    await new OutboxRelay(line.pool, line.producer, isThere, line.kafka.log).runOnce()
    expect(await unsent()).toBe(0)
    const [first, second, ...more] = await line.replies(id!)
    expect(more).toEqual([])
    expect(second).toEqual(first)
    expect(first!.id).toBe(`${id}/succeeded`)
  })

  it('notes nothing as sent that Kafka did not acknowledge', async () => {
    await enqueue(1)
    const deaf: Producer = { ...line.producer, send: () => Promise.reject(new Error('no broker')) }
    await expect(new OutboxRelay(line.pool, deaf, isThere, line.kafka.log).runOnce()).rejects.toThrow('no broker')
    expect(await unsent()).toBe(1)
  })
})
