import { type Reply } from '@rates/core/batch'
import {
  connectProducer,
  type IncomingRecord,
  type KafkaSettings,
  type OutgoingRecord,
  type Producer,
} from '@rates/service/kafka'
import { startConsumer } from '@rates/service/kafka-consumer'
import { connectAdmin, type Admin } from '@rates/service/kafka-admin'
import { createLogger } from '@rates/service/log'
import { createPool } from '@rates/service/postgres'
import { ensureTopics, groupNames, topicNames, type TopicNames } from '@rates/service/topics'
import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import { importTestPorts } from './batches.ts'
import { coordinate } from './coordinate.ts'
import { eventually } from './eventually.ts'
import { createTestDatabase } from './postgres.ts'
import { recordTransitions } from './transitions.ts'

/** All records of a topic, from its first one. */
export interface Watched {
  /** All that lie in the topic at this moment. */
  all(): Promise<IncomingRecord[]>
  close(): Promise<void>
}

/** A whole line of a test's own: a database with ports, topics, and someone who reads what comes out. */
export interface Line {
  databaseUrl: string
  pool: pg.Pool
  /** Those that the database has: no others may be left in the end. */
  tables: string[]
  prefix: string
  brokers: string[]
  topics: TopicNames
  groups: { batches: string; bulk: string }
  kafka: KafkaSettings
  admin: Admin
  producer: Producer
  send(records: OutgoingRecord[]): Promise<void>
  watch(topic: string): Promise<Watched>
  /** Every reply on the default topic that names the batch, in order, repeats too. */
  replies(batchId: string): Promise<SeenReply[]>
  /** Waits for the first of them. */
  reply(batchId: string, within?: number): Promise<Reply>
  deadLetters(batchId?: string): Promise<IncomingRecord[]>
  /** Run before the line itself is taken down, last one first. */
  defer(release: () => Promise<void>): void
  close(): Promise<void>
}

export interface SeenReply {
  id: string
  bytes: string
  reply: Reply
}

export interface LineOptions {
  partitions?: number
  /** A database and brokers of the caller's own, instead of the run's. */
  databaseUrl?: string
  brokers?: string[]
  /** Topics that are there already, by the prefix of their names, and stay. */
  prefix?: string
}

export async function startLine(options: LineOptions = {}): Promise<Line> {
  const releases: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (const release of releases.splice(0).reverse()) await release()
  }
  try {
    return await build(options, releases, close)
  } catch (error) {
    await close()
    throw error
  }
}

async function build(
  options: LineOptions,
  releases: (() => Promise<void>)[],
  close: () => Promise<void>,
): Promise<Line> {
  const log = createLogger('test', 'silent')
  const brokers = options.brokers ?? coordinate('RATES_TEST_BROKERS').split(',')
  const prefix = options.prefix ?? `test-${randomBytes(6).toString('hex')}.`
  const kafka = { brokers, clientId: 'test', log }
  let { databaseUrl } = options
  if (databaseUrl === undefined) {
    const database = await createTestDatabase()
    releases.push(() => database.drop())
    databaseUrl = database.url
  }
  await importTestPorts(databaseUrl)
  const pool = createPool(databaseUrl, { name: 'test', max: 4, log })
  releases.push(() => pool.end())
  await recordTransitions(pool)
  const tables = await pool.query<{ name: string }>(`select relname as name from pg_class where relkind in ('r', 'p')`)
  const admin = await connectAdmin(kafka)
  releases.push(() => admin.close())
  const topics = topicNames(prefix)
  if (options.prefix === undefined) {
    await ensureTopics(admin, prefix, { partitions: options.partitions ?? 3, replication: 1 })
    releases.push(() => admin.deleteTopics(Object.values(topics)))
  }
  const producer = await connectProducer(kafka)
  releases.push(() => producer.close())
  const watch = async (topic: string): Promise<Watched> => {
    const watched = await watchTopic(kafka, admin, topic, `${prefix}watch-${topic}-${randomBytes(3).toString('hex')}`)
    releases.push(() => watched.close())
    return watched
  }
  const [replies, dead] = await Promise.all([watch(topics.replies), watch(topics.deadLetters)])
  const repliesOf = async (batchId: string): Promise<SeenReply[]> => {
    const records = await replies.all()
    return records.filter(({ headers }) => headers.get('batch-id') === batchId).map(seenReply)
  }
  return {
    databaseUrl,
    pool,
    tables: tables.rows.map(({ name }) => name),
    prefix,
    brokers,
    topics,
    groups: groupNames(prefix),
    kafka,
    admin,
    producer,
    async send(records) {
      for (const together of inRequests(records)) await producer.send(together)
    },
    watch,
    replies: repliesOf,
    reply: (batchId, within = 60_000) =>
      eventually(async () => (await repliesOf(batchId))[0]?.reply, { within, what: `the reply to ${batchId}` }),
    async deadLetters(batchId) {
      const records = await dead.all()
      return records.filter(({ headers }) => batchId === undefined || headers.get('batch-id') === batchId)
    },
    defer: (release) => void releases.push(release),
    close,
  }
}

/** What goes to one partition together has to fit into one record batch, and a topic may have one partition. */
function inRequests(records: OutgoingRecord[]): OutgoingRecord[][] {
  const requests: OutgoingRecord[][] = [[]]
  let bytes = 0
  for (const record of records) {
    bytes += (record.value?.length ?? 0) + 500
    if (bytes > 900_000 && requests.at(-1)!.length > 0) {
      requests.push([])
      bytes = record.value?.length ?? 0
    }
    requests.at(-1)!.push(record)
  }
  return requests
}

export function seenReply(record: IncomingRecord): SeenReply {
  const bytes = Buffer.from(record.value!).toString()
  return { id: record.headers.get('reply-id')!, bytes, reply: JSON.parse(bytes) as Reply }
}

async function watchTopic(kafka: KafkaSettings, admin: Admin, topic: string, groupId: string): Promise<Watched> {
  const seen: IncomingRecord[] = []
  const next = new Map<number, bigint>()
  const consumer = await startConsumer(kafka, {
    groupId,
    topic,
    handle: (record) => {
      // A record may come again after a rebalance: it lies in the topic once.
      if (record.offset >= (next.get(record.partition) ?? 0n)) {
        seen.push(record)
        next.set(record.partition, record.offset + 1n)
      }
      return Promise.resolve()
    },
  })
  return {
    async all() {
      const ends = await admin.progress(groupId, topic)
      return eventually(
        () => Promise.resolve(ends.every(({ partition, high }) => (next.get(partition) ?? 0n) >= high) && [...seen]),
        { within: 60_000, every: 10, what: `reading ${topic} to its end` },
      )
    },
    close: () => consumer.stop(),
  }
}
