import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { connectProducer, type IncomingRecord, type KafkaSettings } from './kafka.ts'
import { startConsumer, Stopped } from './kafka-consumer.ts'
import { connectAdmin, type Admin } from './kafka-admin.ts'
import { createLogger } from './log.ts'
import { eventually } from '@rates/testing/eventually'
import { UNREADABLE } from './record-batch-guard.ts'
import { randomBytes } from 'node:crypto'
import kafkajs from 'kafkajs'

const kafka: KafkaSettings = {
  brokers: process.env['RATES_TEST_BROKERS']!.split(','),
  clientId: 'test',
  log: createLogger('test', 'silent'),
}
let admin: Admin
const made: string[] = []
beforeAll(async () => {
  admin = await connectAdmin(kafka)
})
afterAll(async () => {
  await admin.deleteTopics(made)
  await admin.close()
})

async function newTopic(partitions: number): Promise<string> {
  const topic = `test-${randomBytes(6).toString('hex')}`
  await admin.createTopic(topic, partitions, 1, {})
  made.push(topic)
  return topic
}

async function produce(topic: string, from: number, to: number): Promise<void> {
  const producer = await connectProducer(kafka)
  const records = Array.from({ length: to - from }, (_, i) => ({
    topic,
    headers: { n: String(from + i) },
    value: Buffer.from(`value ${from + i}`),
  }))
  await producer.send(records)
  await producer.close()
}

const numbers = (records: IncomingRecord[]): number[] => records.map(({ headers }) => Number(headers.get('n')))
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
const sorted = (values: Iterable<number>): number[] => [...values].sort((a, b) => a - b)

async function left(group: string, topic: string): Promise<bigint> {
  const progress = await admin.progress(group, topic)
  return progress.reduce((sum, { low, high, committed }) => sum + high - (committed ?? low), 0n)
}

/** Reads a topic whole, by a group of its own. */
async function readAll(topic: string): Promise<string[]> {
  const seen: string[] = []
  const group = `all-${topic}`
  const consumer = await startConsumer(kafka, {
    groupId: group,
    topic,
    handle: (record) => Promise.resolve(void seen.push(Buffer.from(record.value!).toString())),
  })
  await eventually(async () => (await left(group, topic)) === 0n)
  await consumer.stop()
  return seen
}

describe('a consumer', () => {
  it('starts from the earliest record and, when it comes again, where it left off', async () => {
    const topic = await newTopic(2)
    await produce(topic, 0, 20)
    const first: IncomingRecord[] = []
    const options = { groupId: `g-${topic}`, topic, sessionSeconds: 6 }
    const one = await startConsumer(kafka, { ...options, handle: (record) => Promise.resolve(void first.push(record)) })
    await eventually(async () => (await left(options.groupId, topic)) === 0n)
    await one.stop()
    await produce(topic, 20, 30)
    const second: IncomingRecord[] = []
    const two = await startConsumer(kafka, {
      ...options,
      handle: (record) => Promise.resolve(void second.push(record)),
    })
    await eventually(async () => (await left(options.groupId, topic)) === 0n)
    await two.stop()
    expect(sorted(numbers(first))).toEqual(upTo(20))
    expect(sorted(numbers(second))).toEqual(upTo(30).slice(20))
    expect(Buffer.from(first[0]!.value!).toString()).toBe(`value ${first[0]!.headers.get('n')}`)
  })

  it.concurrent('keeps its membership while a record takes longer than the session', async () => {
    const topic = await newTopic(1)
    await produce(topic, 0, 2)
    const seen: number[] = []
    const rebalances: string[] = []
    const consumer = await startConsumer(kafka, {
      groupId: `g-${topic}`,
      topic,
      sessionSeconds: 6,
      onRebalance: (kind) => rebalances.push(kind),
      handle: async (record, { signal }) => {
        seen.push(Number(record.headers.get('n')))
        if (seen.length === 1) await new Promise((resolve) => setTimeout(resolve, 9_000))
        expect(signal.aborted).toBe(false)
      },
    })
    await eventually(async () => (await left(`g-${topic}`, topic)) === 0n, { within: 60_000 })
    await consumer.stop()
    expect(seen).toEqual([0, 1])
    expect(rebalances).toEqual(['assigned'])
  })

  it.concurrent('loses nothing when a second one joins and when it leaves again', async () => {
    const topic = await newTopic(4)
    const seen = new Map<number, string[]>()
    const join = (name: string) =>
      startConsumer(kafka, {
        groupId: `g-${topic}`,
        topic,
        sessionSeconds: 6,
        handle: async (record) => {
          const n = Number(record.headers.get('n'))
          seen.set(n, [...(seen.get(n) ?? []), name])
          await new Promise((resolve) => setTimeout(resolve, 2))
        },
      })
    const by = (name: string) => [...seen.values()].some((names) => names.includes(name))
    const one = await join('one')
    await produce(topic, 0, 1_000)
    await eventually(() => Promise.resolve(by('one')))
    const two = await join('two')
    await produce(topic, 1_000, 2_000)
    await eventually(() => Promise.resolve(by('two')))
    await two.stop()
    await produce(topic, 2_000, 2_100)
    await eventually(async () => (await left(`g-${topic}`, topic)) === 0n, { within: 30_000 })
    await one.stop()
    expect(sorted(seen.keys())).toEqual(upTo(2_100))
  })

  it('takes no offset back for a record that was left off, and ends on an error', async () => {
    const topic = await newTopic(1)
    await produce(topic, 0, 5)
    const options = { groupId: `g-${topic}`, topic, sessionSeconds: 6 }
    const consumer = await startConsumer(kafka, {
      ...options,
      handle: (record) => (record.headers.get('n') === '3' ? Promise.reject(new Error('a bug')) : Promise.resolve()),
    })
    await expect(consumer.failed).rejects.toThrow('a bug')
    await consumer.stop()
    expect((await admin.progress(options.groupId, topic))[0]!.committed).toBe(3n)
    const again: [number, boolean][] = []
    let reached: () => void = () => undefined
    const inHand = new Promise<void>((resolve) => (reached = resolve))
    const stopping = await startConsumer(kafka, {
      ...options,
      handle: (record, { signal, suspect }) => {
        again.push([Number(record.headers.get('n')), suspect])
        if (again.length === 1) return Promise.resolve()
        reached()
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Stopped())))
      },
    })
    await inHand
    await stopping.stop()
    // The first after the partition came over may be what ended the other one; it is no suspect once it is through.
    expect(again).toEqual([
      [3, true],
      [4, false],
    ])
    expect((await admin.progress(options.groupId, topic))[0]!.committed).toBe(4n)
  })
})

describe('a consumer that takes all that were fetched', () => {
  it('commits what is done of them, also while it goes on, and though it fails in the end', async () => {
    const topic = await newTopic(1)
    await produce(topic, 0, 6)
    const options = { groupId: `g-${topic}`, topic, sessionSeconds: 6 }
    const committed = async (): Promise<bigint | null> => (await admin.progress(options.groupId, topic))[0]!.committed
    let meanwhile: bigint | null = null
    const one = await startConsumer(kafka, {
      ...options,
      handleAll: async (records, { done }) => {
        await done(records[1]!)
        meanwhile = await committed()
        await done(records[3]!)
        throw new Error('a bug')
      },
    })
    await expect(one.failed).rejects.toThrow('a bug')
    await one.stop()
    expect([meanwhile, await committed()]).toEqual([2n, 4n])
    const again: number[] = []
    const two = await startConsumer(kafka, {
      ...options,
      handleAll: (records) => Promise.resolve(void again.push(...numbers([...records]))),
    })
    await eventually(async () => (await left(options.groupId, topic)) === 0n)
    await two.stop()
    expect(again).toEqual([4, 5])
  })
})

describe('a consumer that does not start', () => {
  it('leaves no connection behind', async () => {
    const connections = (): number =>
      process.getActiveResourcesInfo().filter((resource) => resource === 'TCPSocketWrap').length
    const before = connections()
    const options = { groupId: 'test-no-topic', topic: 'no topic', handle: () => Promise.resolve() }
    await expect(startConsumer(kafka, options)).rejects.toThrow('invalid topic')
    await eventually(() => Promise.resolve(connections() <= before), { within: 5_000 })
  })
})

describe('a consumer that is told what is urgent', () => {
  const urgency = (record: IncomingRecord): number => (Number(record.headers.get('n')) >= 6 ? 0 : 1)

  it('takes that first among what it fetched, and commits no offset before what it left behind', async () => {
    const topic = await newTopic(1)
    await produce(topic, 0, 8)
    const options = { groupId: `g-${topic}`, topic, sessionSeconds: 6, urgency }
    const seen: number[] = []
    const one = await startConsumer(kafka, {
      ...options,
      handle: (record) => {
        const n = Number(record.headers.get('n'))
        if (n === 2) return Promise.reject(new Error('a bug'))
        seen.push(n)
        return Promise.resolve()
      },
    })
    await expect(one.failed).rejects.toThrow('a bug')
    await one.stop()
    expect(seen).toEqual([6, 7, 0, 1])
    expect((await admin.progress(options.groupId, topic))[0]!.committed).toBe(2n)
    const again: number[] = []
    const two = await startConsumer(kafka, {
      ...options,
      handle: (record) => Promise.resolve(void again.push(Number(record.headers.get('n')))),
    })
    await eventually(async () => (await left(options.groupId, topic)) === 0n)
    await two.stop()
    expect(again).toEqual([6, 7, 2, 3, 4, 5])
  })

  it('has a record of each fetched partition in hand, and finishes all of them when it stops', async () => {
    const topic = await newTopic(3)
    await produce(topic, 0, 9)
    const started = new Set<number>()
    const finished: number[] = []
    const group = `g-${topic}`
    const consumer = await startConsumer(kafka, {
      groupId: group,
      topic,
      sessionSeconds: 6,
      handle: async ({ partition }) => {
        started.add(partition)
        await eventually(() => Promise.resolve(started.size === 3))
        await new Promise((resolve) => setTimeout(resolve, 200))
        finished.push(partition)
      },
    })
    await eventually(() => Promise.resolve(started.size === 3))
    await consumer.stop()
    expect(finished.sort()).toEqual([0, 1, 2])
    expect(await left(group, topic)).toBe(6n)
  })
})

describe('a producer', () => {
  it('has sent what it says it has, also after a request that failed in part', async () => {
    const topic = await newTopic(2)
    const producer = await connectProducer(kafka)
    const record = (value: Uint8Array) => ({ topic, headers: {}, value })
    const huge = Buffer.alloc(5 << 20)
    await expect(producer.send([record(Buffer.from('a')), record(huge)])).rejects.toThrow()
    const acknowledged: string[] = []
    for (const value of ['b', 'c', 'd', 'e', 'f', 'g']) {
      await producer.send([record(Buffer.from(value))])
      acknowledged.push(value)
    }
    await producer.close()
    expect(await readAll(topic)).toEqual(expect.arrayContaining(acknowledged))
  })
})

describe('record batches that were compressed', () => {
  const { CompressionTypes, Partitioners } = kafkajs
  const types = [CompressionTypes.GZIP, CompressionTypes.Snappy, CompressionTypes.LZ4, CompressionTypes.ZSTD]

  it('are read by every codec; what would take too much memory is told in its place, and the rest comes', async () => {
    const topic = await newTopic(1)
    const client = new kafkajs.Kafka({ brokers: kafka.brokers, logLevel: kafkajs.logLevel.NOTHING })
    const producer = client.producer({ createPartitioner: Partitioners.DefaultPartitioner })
    await producer.connect()
    // Each 8 MiB, so that several make more than one fetch may become; and 17 MiB, which none may.
    const [large, bomb] = [Buffer.alloc(8 << 20, 'price '), Buffer.alloc(17 << 20, 'price ')]
    const expected: [number, number | string][] = []
    const send = async (compression: number, values: Buffer[], reason?: string): Promise<void> => {
      const messages = values.map((value, i) => ({ value, headers: { n: String(expected.length + i) } }))
      for (const { length } of values) expected.push([expected.length, reason ?? length])
      await producer.send({ topic, compression, messages })
    }
    for (const type of types) {
      await send(type, [large])
      await send(type, [large, Buffer.from('x')])
      await send(type, [bomb, Buffer.from('y')], 'become more than 16777216')
    }
    await send(CompressionTypes.None, [Buffer.from('the last')])
    await producer.disconnect()

    const seen: [number, number | string][] = []
    const consumer = await startConsumer(kafka, {
      groupId: `g-${topic}`,
      topic,
      handle: ({ offset, headers, value }) => {
        const reason = headers.get(UNREADABLE)
        if (reason === undefined) expect(headers.get('n')).toBe(String(offset))
        else expect([value, headers.size]).toEqual([null, 1])
        return Promise.resolve(
          void seen.push([Number(offset), reason?.replace(/^\d+ bytes of \w+ /, '') ?? value!.length]),
        )
      },
    })
    await eventually(async () => (await left(`g-${topic}`, topic)) === 0n, { within: 30_000 })
    await consumer.stop()
    expect(seen).toEqual(expected)
  })

  it('and those of very many records come as one, whether they are compressed or not; the rest comes', async () => {
    const topic = await newTopic(1)
    const client = new kafkajs.Kafka({ brokers: kafka.brokers, logLevel: kafkajs.logLevel.NOTHING })
    const producer = client.producer({ createPartitioner: Partitioners.DefaultPartitioner })
    await producer.connect()
    const timestamp = '1700000000000'
    const send = async (compression: number, count: number): Promise<void> => {
      const messages = Array.from({ length: count }, () => ({ value: null, timestamp }))
      // It takes kafkajs minutes to sort so many to the one partition.
      Object.assign(messages, { reduce: () => ({ 0: [...messages] }) })
      await producer.send({ topic, compression, messages })
    }
    await send(CompressionTypes.GZIP, 150_000)
    await send(CompressionTypes.None, 105_000)
    // Each may be read, but not both in one fetch.
    await send(CompressionTypes.GZIP, 60_000)
    await send(CompressionTypes.GZIP, 60_000)
    await producer.disconnect()
    const unreadable: [bigint, string][] = []
    let [seen, most] = [0, 0]
    const consumer = await startConsumer(kafka, {
      groupId: `g-${topic}`,
      topic,
      handleAll: (records) => {
        most = Math.max(most, records.length)
        for (const { offset, headers } of records) {
          const reason = headers.get(UNREADABLE)
          if (reason === undefined) seen++
          else unreadable.push([offset, reason])
        }
        return Promise.resolve()
      },
    })
    await eventually(async () => (await left(`g-${topic}`, topic)) === 0n, { within: 30_000 })
    await consumer.stop()
    expect(unreadable).toEqual([
      [149_999n, '150000 records are more than 100000'],
      [254_999n, '105000 records are more than 100000'],
    ])
    expect(seen).toBe(120_000)
    expect(most).toBeLessThanOrEqual(60_002)
  })
})
