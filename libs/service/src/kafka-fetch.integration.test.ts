import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import kafkajs from 'kafkajs'
import { connectAdmin, type Admin } from './kafka-admin.ts'
import { connectFetcher, NoSuchPlace, type Fetcher } from './kafka-fetch.ts'
import { openReader } from './kafka-reader.ts'
import { type KafkaSettings } from './kafka.ts'
import { createLogger } from './log.ts'

const kafka: KafkaSettings = {
  brokers: process.env['RATES_TEST_BROKERS']!.split(','),
  clientId: 'test',
  log: createLogger('test', 'silent'),
}
const topic = `test-${randomBytes(6).toString('hex')}`
let admin: Admin
let fetcher: Fetcher
let remove: (partition: number, before: number) => Promise<void>

/** Partition 0: ten records, each a record batch; partition 1: three record batches of four, compressed. */
beforeAll(async () => {
  admin = await connectAdmin(kafka)
  await admin.createTopic(topic, 3, 1, {})
  const client = new kafkajs.Kafka({ brokers: kafka.brokers, logLevel: kafkajs.logLevel.NOTHING })
  const producer = client.producer()
  await producer.connect()
  const message = (partition: number, n: number): kafkajs.Message => ({
    partition,
    headers: { n: String(n) },
    value: Buffer.alloc(n === 7 ? 900_000 : 10, n),
  })
  for (let n = 0; n < 10; n++) await producer.send({ topic, messages: [message(0, n)] })
  for (let n = 0; n < 12; n += 4) {
    const messages = [0, 1, 2, 3].map((i) => message(1, n + i))
    await producer.send({ topic, messages, compression: kafkajs.CompressionTypes.GZIP })
  }
  await producer.disconnect()
  remove = async (partition, before) => {
    const own = client.admin()
    await own.connect()
    await own.fetchTopicOffsets(topic) // or it does not know the topic
    await own.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(before) }] })
    await own.disconnect()
  }
  fetcher = await connectFetcher(kafka)
})
afterAll(async () => {
  await fetcher.close()
  await admin.deleteTopics([topic])
  await admin.close()
})

async function offsetsOf(partition: number, offset: bigint, maxBytes = 1): Promise<[bigint[], bigint]> {
  const { records, next } = await fetcher.fetch({ topic, partition, offset }, maxBytes)
  for (const record of records) expect(record.headers.get('n')).toBe(String(record.offset))
  return [records.map((record) => record.offset), next]
}

describe('a fetcher', () => {
  it('gives the record of a place alone, wherever it lies and however large it is', async () => {
    expect(await offsetsOf(0, 7n)).toEqual([[7n], 8n])
    expect(await offsetsOf(0, 2n)).toEqual([[2n], 3n])
    const { records } = await fetcher.fetch({ topic, partition: 0, offset: 7n }, 1)
    expect(Buffer.alloc(900_000, 7).equals(records[0]!.value!)).toBe(true)
    expect(records[0]).toMatchObject({ topic, partition: 0 })
  })

  it('gives as much as may come', async () => {
    expect(await offsetsOf(0, 0n, 1 << 20)).toEqual([[0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n], 10n])
  })

  it('begins in the middle of a record batch', async () => {
    expect(await offsetsOf(1, 6n)).toEqual([[6n, 7n], 8n])
  })

  it('tells the ends, and that a place is none: after the last record, of no partition, removed', async () => {
    const ends = async (): Promise<object[]> => (await fetcher.ends(topic)).sort((a, b) => a.partition - b.partition)
    expect(await ends()).toEqual([
      { partition: 0, low: 0n, high: 10n },
      { partition: 1, low: 0n, high: 12n },
      { partition: 2, low: 0n, high: 0n },
    ])
    for (const place of [
      { topic, partition: 0, offset: 11n },
      { topic, partition: 3, offset: 0n },
    ]) {
      await expect(fetcher.fetch(place, 1)).rejects.toThrow(new NoSuchPlace(place))
    }
    await remove(0, 2)
    expect((await ends())[0]).toEqual({ partition: 0, low: 2n, high: 10n })
    await expect(offsetsOf(0, 1n)).rejects.toThrow(NoSuchPlace)
    expect(await offsetsOf(0, 2n)).toEqual([[2n], 3n])
  })

  it('leaves no group behind', async () => {
    const reader = await openReader(kafka, topic)
    const seen: bigint[] = []
    await reader.read({ partition: 1, from: 3n, to: 9n }, ({ offset }) => void seen.push(offset))
    await reader.close()
    expect(seen).toEqual([3n, 4n, 5n, 6n, 7n, 8n])
    const client = new kafkajs.Kafka({ brokers: kafka.brokers, logLevel: kafkajs.logLevel.NOTHING }).admin()
    await client.connect()
    const { groups } = await client.listGroups()
    await client.disconnect()
    expect(groups.filter(({ groupId }) => groupId.includes(topic))).toEqual([])
  })

  it('leaves off when it is told to, where nothing comes as well', async () => {
    const stop = new AbortController()
    const told = await connectFetcher(kafka, stop.signal)
    const waiting = told.fetch({ topic, partition: 2, offset: 0n }, 1)
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    await told.close()
  })
})
