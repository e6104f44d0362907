/**
 * The seam to Kafka: the only file that imports kafkajs, which works but is unmaintained. Its guards are here: a
 * heartbeat pump of our own, manual commits, a deadline on everything that can hang, codecs it lacks, its spinning timer.
 */
import { randomUUID } from 'node:crypto'
import kafkajs, { type Consumer as KafkaConsumer, type EachBatchPayload, type IHeaders } from 'kafkajs'
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js'
import { codecs } from './kafka-codecs.ts'
import { type Logger } from './log.ts'
import { within } from './within.ts'

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs
CompressionCodecs[CompressionTypes.Snappy] = () => codecs.snappy
CompressionCodecs[CompressionTypes.LZ4] = () => codecs.lz4
CompressionCodecs[CompressionTypes.ZSTD] = () => codecs.zstd

// Without this every idle connection wakes up 900 times a second (kafkajs#1751).
const queue = RequestQueue.prototype
const schedule = queue.scheduleCheckPendingRequests
queue.scheduleCheckPendingRequests = function (): void {
  if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this)
}

export interface KafkaSettings {
  brokers: string[]
  clientId: string
  log: Logger
}

export interface OutgoingRecord {
  topic: string
  headers: Record<string, string>
  value: Uint8Array | null
}

export interface IncomingRecord {
  topic: string
  partition: number
  offset: bigint
  /** Milliseconds since 1970; the broker's clock on our batch topics. */
  timestamp: number
  headers: ReadonlyMap<string, string>
  value: Uint8Array | null
}

/** Sends records idempotently and to all in-sync replicas; send() resolves when all of them are acknowledged. */
export interface Producer {
  send(records: OutgoingRecord[]): Promise<void>
  close(): Promise<void>
}

function client({ brokers, clientId, log }: KafkaSettings): kafkajs.Kafka {
  return new Kafka({
    brokers,
    clientId,
    connectionTimeout: 5_000,
    requestTimeout: 30_000,
    retry: { initialRetryTime: 200, maxRetryTime: 3_000, retries: 8 },
    logLevel: logLevel.WARN,
    logCreator:
      () =>
      ({ level, log: { message, error, groupId, broker } }) => {
        // What it recovers from by itself is told as a warning; a broker's refusals (a rebalance, a leader that moved) and
        // its advice on retries are no news. What does not recover reaches us as a rejection.
        const routine = message.startsWith('Response ') || message.startsWith('Limiting retries')
        const details = { kafka: { error, groupId, broker } }
        if (routine || level > logLevel.WARN) log.debug(details, message)
        else log.warn(details, message)
      },
  })
}

/**
 * kafkajs takes the sequence numbers of a failed request back, though the broker may have stored it: what goes to that
 * partition next is then acknowledged as a repetition, and dropped. So one request at a time, whose retries go to the
 * same partitions, and after one that failed for good a new producer.
 */
export async function connectProducer(settings: KafkaSettings): Promise<Producer> {
  const connect = async (): Promise<kafkajs.Producer> => {
    const producer = client(settings).producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: roundRobin,
    })
    await producer.connect()
    return producer
  }
  let producer: kafkajs.Producer | undefined = await connect()
  const sendNow = async (topicMessages: kafkajs.TopicMessages[]): Promise<void> => {
    const current = (producer ??= await connect())
    try {
      await current.sendBatch({ acks: -1, topicMessages })
    } catch (error) {
      producer = undefined
      void within(5, current.disconnect())
      throw error
    }
  }
  let last: Promise<void> = Promise.resolve()
  return {
    send(records) {
      const byTopic = new Map<string, kafkajs.Message[]>()
      for (const { topic, headers, value } of records) {
        const messages = byTopic.get(topic) ?? []
        byTopic.set(topic, messages)
        messages.push({ headers, value: value && Buffer.from(value.buffer, value.byteOffset, value.byteLength) })
      }
      const sent = last.then(() => sendNow([...byTopic].map(([topic, messages]) => ({ topic, messages }))))
      last = sent.catch(() => undefined)
      return sent
    },
    async close() {
      await within(
        5,
        last.then(() => producer?.disconnect()),
      )
    },
  }
}

/**
 * Chunks carry no key: they go round the partitions, so that all workers take part in a large batch. A message keeps its
 * partition: kafkajs asks again for each retry.
 */
const roundRobin: kafkajs.ICustomPartitioner = () => {
  const next = new Map<string, number>()
  const chosen = new WeakMap<kafkajs.Message, number>()
  return ({ topic, partitionMetadata, message }) => {
    const before = chosen.get(message)
    if (before !== undefined) return before
    const turn = next.get(topic) ?? Math.floor(Math.random() * partitionMetadata.length)
    next.set(topic, (turn + 1) % partitionMetadata.length)
    const { partitionId } = partitionMetadata[turn % partitionMetadata.length]!
    chosen.set(message, partitionId)
    return partitionId
  }
}

function textHeaders(headers: IHeaders | undefined): Map<string, string> {
  const map = new Map<string, string>()
  for (const [name, value] of Object.entries(headers ?? {})) {
    const one = Array.isArray(value) ? value[0] : value
    // A header may have no value; the types do not tell.
    if (one !== undefined && (one as unknown) !== null) map.set(name, one.toString())
  }
  return map
}

const incoming = (topic: string, partition: number, message: kafkajs.KafkaMessage): IncomingRecord => ({
  topic,
  partition,
  offset: BigInt(message.offset),
  timestamp: Number(message.timestamp),
  headers: textHeaders(message.headers),
  value: message.value,
})

export interface RecordContext {
  /** Aborted when the worker stops or the partition may have moved: waits end, the work in hand may finish. */
  signal: AbortSignal
  /**
   * True until the first commit after this partition came to us: such a record may have been in flight in another
   * worker, and may be what ended it.
   */
  suspect: boolean
}

export interface ConsumerOptions {
  groupId: string
  topic: string
  /**
   * Takes one record and resolves when it needs not come again. A rejection is a bug or a fault that waiting does not
   * mend: it ends the consumer, and `failed` rejects with it.
   */
  handle: (record: IncomingRecord, context: RecordContext) => Promise<void>
  onRebalance?: (kind: 'assigned' | 'revoked') => void
  /** Most bytes of a fetch, and so of what is waiting in memory. */
  maxBytes?: number
  sessionSeconds?: number
}

export interface Consumer {
  /** Rejects when the consumer has ended by itself. */
  failed: Promise<never>
  /** Takes no further record, finishes the one in hand, commits, leaves the group. */
  stop(): Promise<void>
}

/** Waits for an abort inside a handler end by throwing this: the record stays uncommitted and comes again. */
export class Stopped extends Error {
  constructor() {
    super('stopped')
    this.name = 'Stopped'
  }
}

/** Commits at most this often within a fetch, besides at its end: a record that comes again does no harm. */
const COMMIT_MILLISECONDS = 500

export async function startConsumer(settings: KafkaSettings, options: ConsumerOptions): Promise<Consumer> {
  const { groupId, topic, handle, onRebalance, maxBytes = 4 << 20, sessionSeconds = 10 } = options
  const { log } = settings
  const kafka = client(settings)
  const consumer = kafka.consumer({
    groupId,
    sessionTimeout: sessionSeconds * 1000,
    rebalanceTimeout: 60_000,
    heartbeatInterval: 3_000,
    maxBytes,
    maxBytesPerPartition: Math.min(maxBytes, 2 << 20),
    maxWaitTimeInMs: 250,
    allowAutoTopicCreation: false,
    retry: { initialRetryTime: 300, maxRetryTime: 5_000, retries: 8, restartOnFailure: () => Promise.resolve(true) },
  })
  let fail: (error: Error) => void = () => undefined
  const failed = new Promise<never>((_, reject) => (fail = reject))
  failed.catch(() => undefined)
  const stopping = new AbortController()
  const suspects = new Set<number>()
  let inHand: Promise<void> = Promise.resolve()

  consumer.on('consumer.group_join', ({ payload }) => {
    const partitions = payload.memberAssignment[topic] ?? []
    suspects.clear()
    for (const partition of partitions) suspects.add(partition)
    log.info({ groupId, topic, partitions }, 'partitions assigned')
    onRebalance?.('assigned')
  })
  consumer.on('consumer.rebalancing', () => onRebalance?.('revoked'))
  consumer.on('consumer.crash', ({ payload }) => {
    if (!payload.restart && !stopping.signal.aborted) fail(payload.error)
  })

  const eachBatch = async ({ batch, resolveOffset, heartbeat, isRunning }: EachBatchPayload): Promise<void> => {
    const { partition } = batch
    const lost = new AbortController()
    const signal = AbortSignal.any([stopping.signal, lost.signal])
    let heartbeatError: unknown
    const pump = setInterval(() => {
      heartbeat().catch((error: unknown) => {
        // The group rebalances, or does not know us any more: leave off, so that the runner joins again.
        heartbeatError = error
        lost.abort()
      })
    }, 1_000)
    let done: string | undefined
    let committed = performance.now()
    const commit = async (): Promise<void> => {
      if (done === undefined) return
      const offset = (BigInt(done) + 1n).toString()
      done = undefined
      committed = performance.now()
      await consumer.commitOffsets([{ topic, partition, offset }]).catch((error: Error) => {
        // The group went on without us. Wrapped as it comes, kafkajs would not see that it only has to join again.
        throw isLostMembership(error.cause) ? error.cause : error
      })
      suspects.delete(partition)
    }
    try {
      for (const message of batch.messages) {
        if (signal.aborted || !isRunning()) break
        try {
          await handle(incoming(topic, partition, message), { signal, suspect: suspects.has(partition) })
        } catch (error) {
          if (!(error instanceof Stopped)) {
            fail(error as Error)
            stopping.abort()
          }
          break
        }
        resolveOffset(message.offset)
        done = message.offset
        if (suspects.has(partition) || performance.now() - committed > COMMIT_MILLISECONDS) await commit()
      }
      await commit()
    } finally {
      clearInterval(pump)
    }
    if (heartbeatError !== undefined && !stopping.signal.aborted) throw heartbeatError as Error
  }

  await connectAndRun(consumer, topic, (payload) => {
    const batch = eachBatch(payload)
    inHand = batch.catch(() => undefined)
    return batch
  })
  return {
    failed,
    async stop() {
      stopping.abort()
      // Once it is told to disconnect, kafkajs drops commits without a word: the record in hand comes first.
      await within(
        20,
        inHand.then(() => consumer.disconnect()),
      )
    },
  }
}

const isLostMembership = (error: unknown): error is Error =>
  ['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID'].includes(
    (error as { type: string } | undefined)?.type ?? '',
  )

async function connectAndRun(
  consumer: KafkaConsumer,
  topic: string,
  eachBatch: (payload: EachBatchPayload) => Promise<void>,
): Promise<void> {
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, partitionsConsumedConcurrently: 1, eachBatch })
}

export interface Tail {
  close(): Promise<void>
}

/**
 * Reads a topic from its end as it is now, in a group of its own that is deleted afterwards: for whoever waits for an
 * answer. What is sent after this resolves is seen.
 */
export async function tailTopic(
  settings: KafkaSettings,
  topic: string,
  onRecord: (record: IncomingRecord) => void,
): Promise<Tail> {
  const kafka = client(settings)
  const groupId = `tail-${randomUUID()}`
  const admin = kafka.admin()
  await admin.connect()
  const ends = new Map<number, bigint>()
  for (const { partition, high } of await admin.fetchTopicOffsets(topic)) ends.set(partition, BigInt(high))
  const consumer = kafka.consumer({
    groupId,
    maxWaitTimeInMs: 100,
    sessionTimeout: 30_000,
    allowAutoTopicCreation: false,
  })
  // Not admin.setOffsets: it waits out a fetch of five seconds.
  await connectAndRun(consumer, topic, async ({ batch, resolveOffset }) => {
    for (const message of batch.messages) {
      const record = incoming(topic, batch.partition, message)
      if (record.offset >= (ends.get(batch.partition) ?? 0n)) onRecord(record)
      resolveOffset(message.offset)
    }
    await Promise.resolve()
  })
  for (const [partition, end] of ends) consumer.seek({ topic, partition, offset: String(end) })
  return {
    async close() {
      await within(5, consumer.disconnect())
      await within(5, admin.deleteGroups([groupId]))
      await within(5, admin.disconnect())
    },
  }
}

export interface PartitionProgress {
  partition: number
  /** First record that is still there. */
  low: bigint
  /** One past the last record. */
  high: bigint
  /** The group's next record, or null if it has committed nothing yet. */
  committed: bigint | null
}

export interface Admin {
  topics(): Promise<string[]>
  /** @returns false if the topic is there already. */
  createTopic(topic: string, partitions: number, replication: number, config: Record<string, string>): Promise<boolean>
  deleteTopics(topics: string[]): Promise<void>
  describeTopic(topic: string): Promise<{ partitions: number; replication: number; config: Record<string, string> }>
  /** How far a group has read each partition of a topic. */
  progress(groupId: string, topic: string): Promise<PartitionProgress[]>
  close(): Promise<void>
}

/** A topic that was created a moment ago is not known to every broker, or has no leaders yet. */
async function untilLed(admin: kafkajs.Admin, topic: string): Promise<void> {
  const deadline = performance.now() + 30_000
  for (;;) {
    try {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      if (topics[0]?.partitions.every(({ leader }) => leader >= 0)) return
    } catch (error) {
      if ((error as { retriable?: boolean }).retriable !== true || performance.now() > deadline) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

export async function connectAdmin(settings: KafkaSettings): Promise<Admin> {
  const admin = client(settings).admin()
  await admin.connect()
  return {
    topics: () => admin.listTopics(),
    async createTopic(topic, numPartitions, replicationFactor, config) {
      const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
      const created = await admin.createTopics({
        // It gives up where a broker does not know the topic yet: we wait by ourselves.
        waitForLeaders: false,
        topics: [{ topic, numPartitions, replicationFactor, configEntries }],
      })
      if (created) await untilLed(admin, topic)
      return created
    },
    deleteTopics: (topics) => admin.deleteTopics({ topics }),
    async describeTopic(topic) {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      const partitions = topics[0]?.partitions ?? []
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }],
      })
      const config = Object.fromEntries(
        (resources[0]?.configEntries ?? []).map(({ configName, configValue }) => [configName, configValue]),
      )
      return { partitions: partitions.length, replication: partitions[0]?.replicas.length ?? 0, config }
    },
    async progress(groupId, topic) {
      const [ends, offsets] = await Promise.all([
        admin.fetchTopicOffsets(topic),
        admin.fetchOffsets({ groupId, topics: [topic] }),
      ])
      const committed = new Map(offsets[0]?.partitions.map(({ partition, offset }) => [partition, BigInt(offset)]))
      return ends.map(({ partition, low, high }) => {
        const next = committed.get(partition) ?? -1n
        return { partition, low: BigInt(low), high: BigInt(high), committed: next < 0n ? null : next }
      })
    },
    close: () => within(5, admin.disconnect()),
  }
}
