import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { type Producer } from '@rates/service/kafka'
import { testBatch } from '@rates/testing/batches'
import { startLine, type Line } from '@rates/testing/line'
import kafkajs from 'kafkajs'
import { OutboxRelay, type RelayWatch } from './relay.ts'

let line: Line
beforeAll(async () => {
  line = await startLine({ partitions: 1 })
})
afterAll(() => line.close())
beforeEach(() => line.pool.query('delete from outbox'))

/** Of the tests' broker. */
const MAX_MESSAGE_BYTES = 4 << 20

const isThere = () => Promise.resolve(true)

async function enqueue(count: number, topic = line.topics.replies, note = 'héllo'): Promise<string[]> {
  const ids = Array.from({ length: count }, () => testBatch(0).id)
  for (const id of ids) {
    await line.pool.query('insert into outbox (reply_id, topic, batch_id, body) values ($1, $2, $3, $4)', [
      `${id}/succeeded`,
      topic,
      id,
      JSON.stringify({ batchId: id, note }),
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

  it('gives a reply up that Kafka takes at no time, and sends those before and after it', async () => {
    const large = 'x'.repeat(MAX_MESSAGE_BYTES)
    const [before, [refused], after] = [
      await enqueue(2),
      await enqueue(1, line.topics.replies, large),
      await enqueue(2),
    ]
    const counts: Record<string, number> = {}
    const watch: RelayWatch = {
      begins: () => undefined,
      replies: (outcome, count) => (counts[outcome] = (counts[outcome] ?? 0) + count),
      delay: () => undefined,
    }
    const relay = new OutboxRelay(line.pool, line.producer, isThere, line.kafka.log, watch)
    expect(await relay.runOnce()).toBe(5)
    expect([await unsent(), counts]).toEqual([0, { sent: 4, refused: 1 }])
    for (const id of [...before, ...after]) expect(await line.replies(id)).toHaveLength(1)
    expect(await line.replies(refused!)).toEqual([])
  })

  it('sends one by one what is too large together', async () => {
    const ids = await enqueue(4, line.topics.replies, 'x'.repeat(MAX_MESSAGE_BYTES / 3))
    const sizes: number[] = []
    const counting: Producer = { ...line.producer, send: (all) => (sizes.push(all.length), line.producer.send(all)) }
    expect(await new OutboxRelay(line.pool, counting, isThere, line.kafka.log).runOnce()).toBe(4)
    expect([await unsent(), sizes]).toEqual([0, [4, 1, 1, 1, 1]])
    for (const id of ids) expect(await line.replies(id)).toHaveLength(1)
  })

  it('leaves a topic alone that takes nothing: others have their replies at once, and those behind it, too', async () => {
    const closed = `${line.prefix}closed`
    await enqueue(1, closed)
    const [beside] = await enqueue(1)
    await enqueue(200, closed)
    const [behind] = await enqueue(1)
    const asked: string[] = []
    const partly: Producer = {
      ...line.producer,
      send: (records) => {
        asked.push(records[0]!.topic)
        if (records[0]!.topic !== closed) return line.producer.send(records)
        const refusal = { type: 'TOPIC_AUTHORIZATION_FAILED', code: 29, message: 'not yours', retriable: false }
        return Promise.reject(new kafkajs.KafkaJSProtocolError(refusal as never))
      },
    }
    const relay = new OutboxRelay(line.pool, partly, isThere, line.kafka.log)
    await expect(relay.runOnce()).rejects.toThrow('not yours')
    expect(await line.replies(beside!)).toHaveLength(1)
    expect(await relay.runOnce()).toBe(1)
    expect(await line.replies(behind!)).toHaveLength(1)
    expect(asked).toEqual([closed, line.topics.replies, line.topics.replies])
    expect(await unsent()).toBe(201)
  })
})
