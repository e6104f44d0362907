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
import { inspect } from 'node:util'
import type pg from 'pg'
import { importTestPorts, type TestBatch } from './batches.ts'
import { coordinate } from './coordinate.ts'
import { eventually } from './eventually.ts'
import { createTestDatabase } from './postgres.ts'

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
  const prefix = `test-${randomBytes(6).toString('hex')}.`
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
  const admin = await connectAdmin(kafka)
  releases.push(() => admin.close())
  const topics = topicNames(prefix)
  await ensureTopics(admin, prefix, { partitions: options.partitions ?? 3, replication: 1 })
  releases.push(() => admin.deleteTopics(Object.values(topics)))
  const producer = await connectProducer(kafka)
  releases.push(() => producer.close())
  const watch = async (topic: string): Promise<Watched> => {
    const watched = await watchTopic(kafka, admin, topic, `${prefix}watch-${topic}`)
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
    reply: (batchId, within = 20_000) =>
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
        { within: 30_000, every: 10, what: `reading ${topic} to its end` },
      )
    },
    close: () => consumer.stop(),
  }
}

/** What a reader of the view `prices` sees of a batch's month: all of it, nothing, or what is wrong. */
export async function visible(line: Pick<Line, 'pool'>, batch: TestBatch): Promise<string> {
  const { rows } = await line.pool.query<{ lines: string }>(
    `select coalesce(string_agg(line, e'\n' order by line collate "C"), '') as lines
     from (select orig_code || ',' || dest_code || ',' || day || ',' || price as line
       from prices where day >= $1 and day < $1::date + interval '1 month') v`,
    [`${batch.month}-01`],
  )
  const seen = rows[0]!.lines
  if (seen === '') return 'nothing'
  if (seen === [...batch.lines].sort().join('\n')) return 'all'
  return difference(batch.lines, seen.split('\n'))
}

function difference(expected: readonly string[], seen: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const line of seen) counts.set(line, (counts.get(line) ?? 0) + 1)
  for (const line of expected) counts.set(line, (counts.get(line) ?? 0) - 1)
  const wrong = [...counts].filter(([, count]) => count !== 0)
  return `${seen.length} rows instead of ${expected.length}; ${wrong.length} differ, as ${JSON.stringify(wrong.slice(0, 3))}`
}

/** What the ledger, the replies and the data say of a batch: they have to agree (I1 to I5). */
export interface Facts {
  state: string
  rows: { accepted: number; rejected: number }
  digest: string | null
  error: string | null
  visible: string
  /** The distinct reply ids, and the states that they tell. */
  replies: string[]
  replied: string[]
}

export async function factsOf(line: Line, batch: TestBatch, dryRun = false): Promise<Facts> {
  const { rows } = await line.pool.query<{
    state: string
    accepted: number
    rejected: number
    digest: string | null
    error: string | null
  }>(
    `select state, rows_accepted::float8 as accepted, rows_rejected::float8 as rejected, encode(digest, 'hex') as digest,
       error ->> 'code' as error from batches where id = $1 and dry_run = $2`,
    [batch.id, dryRun],
  )
  const row = rows[0]
  const replies = await line.replies(batch.id)
  const distinct = new Map(
    replies.map(({ id, bytes }) => [id + bytes, { id, state: JSON.parse(bytes).state as string }]),
  )
  return {
    state: row?.state ?? 'unknown',
    rows: { accepted: row?.accepted ?? 0, rejected: row?.rejected ?? 0 },
    digest: row?.digest ?? null,
    error: row?.error ?? null,
    visible: await visible(line, batch),
    replies: [...distinct.values()].map(({ id }) => id),
    replied: [...distinct.values()].map(({ state }) => state),
  }
}

/** The facts of a batch that succeeded as it should. */
export const succeeded = (batch: TestBatch): Facts => ({
  state: 'succeeded',
  rows: { accepted: batch.lines.length, rejected: 0 },
  digest: batch.digest,
  error: null,
  visible: 'all',
  replies: [`${batch.id}/succeeded`],
  replied: ['succeeded'],
})

/** What must not be left once everything has ended (I6). */
export async function leftovers(line: Pick<Line, 'pool'>): Promise<Record<string, number>> {
  const { rows } = await line.pool.query<Record<string, number>>(
    `select (select count(*)::int from batches where state = 'open') as open,
      (select count(*)::int from price_packs p where not exists (select from batches b where b.no = p.batch_no
        and b.state in ('succeeded', 'replaced', 'reverted'))) as packs,
      (select count(*)::int from hidden_batches h where not exists (select from batches b where b.no = h.batch_no
        and b.state in ('replaced', 'reverted'))) as hidden,
      (select count(*)::int from outbox where sent_at is null) as unsent,
      (select count(*)::int from record_attempts) as attempts`,
  )
  return rows[0]!
}

/** Waits until all was read and nothing is left of what ended; the sweeper has its turn once a second. */
export async function settled(line: Line, within = 30_000): Promise<void> {
  let left: unknown
  await eventually(
    async () => {
      left = { backlog: await backlog(line), ...(await leftovers(line)) }
      return Object.values(left as object).every((count) => Number(count) === 0)
    },
    { within, what: 'nothing being left' },
  ).catch((error: Error) => {
    throw new Error(`${error.message}: ${inspect(left)}`, { cause: error })
  })
}

/** Records that the workers' groups have not committed yet. */
export async function backlog(line: Line): Promise<bigint> {
  let left = 0n
  for (const [group, topic] of [
    [line.groups.batches, line.topics.batches],
    [line.groups.bulk, line.topics.bulk],
  ] as const) {
    for (const { low, high, committed } of await line.admin.progress(group, topic)) left += high - (committed ?? low)
  }
  return left
}
