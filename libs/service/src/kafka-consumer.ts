import { randomUUID } from 'node:crypto'
import type kafkajs from 'kafkajs'
import { type Consumer as KafkaConsumer, type EachBatchPayload, type IHeaders } from 'kafkajs'
import { kafkaClient, type IncomingRecord, type KafkaSettings } from './kafka.ts'
import { within } from './within.ts'

function textHeaders(headers: IHeaders | undefined): Map<string, string> {
  const map = new Map<string, string>()
  for (const [name, value] of Object.entries(headers ?? {})) {
    const one = Array.isArray(value) ? value[0] : value
    // A header may have no value; the types do not tell.
    if (one !== undefined && (one as unknown) !== null) map.set(name, one.toString())
  }
  return map
}

export const incoming = (topic: string, partition: number, message: kafkajs.KafkaMessage): IncomingRecord => ({
  topic,
  partition,
  offset: BigInt(message.offset),
  key: message.key,
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

export interface AllContext extends RecordContext {
  /** All up to this record need not come again: they are committed soon, whatever becomes of the others. @throws Stopped */
  done: (record: IncomingRecord) => Promise<void>
}

/** Told what a consumer does, for clocks, metrics and probes. */
export interface ConsumerWatch {
  /** These partitions are ours from now on, and no others. */
  assigned(partitions: readonly number[]): void
  /** A fetch is on its way. */
  fetching(): void
  /** Its answer has come after so many milliseconds at the broker, and is read from now on. */
  answered(milliseconds: number): void
  /** The fetch has ended, after so many milliseconds. */
  fetched(milliseconds: number): void
  /** Records of a partition are in hand; `behind`: how many lie behind them in the partition. */
  took(partition: number, records: readonly IncomingRecord[], behind: number): void
  /** A record waits to be handled, or is (1), or was, to its end or not (-1). */
  handling(change: 1 | -1): void
  /** A commit has begun (1) or ended (-1). */
  committing(change: 1 | -1): void
  /** The broker takes no request for so many milliseconds: a quota is used up. */
  throttled(milliseconds: number): void
  /** Kafka is away or in disorder: the client tries again. */
  retried(): void
}

/**
 * What takes records, and resolves when they need not come again. A rejection is a bug or a fault that waiting does not
 * mend: it ends the consumer, and `failed` rejects with it.
 */
export type RecordHandler =
  | {
      /** Takes one. */
      handle: (record: IncomingRecord, context: RecordContext) => Promise<void>
      /**
       * Of a partition's fetched records the one with the least goes first; without it, and among equals, in their
       * order. A record counts as done only once all before it are: what went ahead may come again.
       */
      urgency?: (record: IncomingRecord) => number
    }
  | {
      /** Takes all that were fetched of a partition, in their order. */
      handleAll: (records: readonly IncomingRecord[], context: AllContext) => Promise<void>
    }

export type ConsumerOptions = RecordHandler & ConsumerSettings

export interface ConsumerSettings {
  groupId: string
  topic: string
  onRebalance?: (kind: 'assigned' | 'revoked') => void
  /** Most bytes of a fetch, and so of what is waiting in memory. */
  maxBytes?: number
  sessionSeconds?: number
  watch?: ConsumerWatch
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
  const { groupId, topic, onRebalance, maxBytes = 4 << 20, sessionSeconds = 10, watch } = options
  const { log } = settings
  const kafka = kafkaClient(settings)
  const consumer = kafka.consumer({
    groupId,
    sessionTimeout: sessionSeconds * 1000,
    rebalanceTimeout: 60_000,
    heartbeatInterval: 3_000,
    maxBytes,
    // One chunk of each partition, so that those of a batch come side by side.
    maxBytesPerPartition: Math.min(maxBytes, 1 << 20),
    maxWaitTimeInMs: 250,
    allowAutoTopicCreation: false,
    retry: { initialRetryTime: 300, maxRetryTime: 5_000, retries: 8, restartOnFailure: () => Promise.resolve(true) },
  })
  let fail: (error: Error) => void = () => undefined
  const failed = new Promise<never>((_, reject) => (fail = reject))
  failed.catch(() => undefined)
  const stopping = new AbortController()
  const suspects = new Set<number>()
  const inHand = new Set<Promise<void>>()

  consumer.on('consumer.group_join', ({ payload }) => {
    const partitions = payload.memberAssignment[topic] ?? []
    suspects.clear()
    for (const partition of partitions) suspects.add(partition)
    log.info({ groupId, topic, partitions }, 'partitions assigned')
    onRebalance?.('assigned')
    watch?.assigned(partitions)
  })
  if (watch) watchEvents(consumer, watch)
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
      watch?.committing(1)
      await consumer
        .commitOffsets([{ topic, partition, offset }])
        .catch((error: Error) => {
          // The group went on without us. Wrapped as it comes, kafkajs would not see that it only has to join again.
          throw isLostMembership(error.cause) ? error.cause : error
        })
        .finally(() => watch?.committing(-1))
      suspects.delete(partition)
    }
    const records = batch.messages.map((message) => incoming(topic, partition, message))
    const handled = new Set<IncomingRecord>()
    let low = 0 // all records before this one are handled
    const settle = async (taken: readonly IncomingRecord[]): Promise<void> => {
      for (const record of taken) handled.add(record)
      while (low < records.length && handled.has(records[low]!)) done = String(records[low++]!.offset)
      if (done === undefined) return
      resolveOffset(done)
      if (suspects.has(partition) || performance.now() - committed > COMMIT_MILLISECONDS) await commit()
    }
    let commitError: unknown
    const settleTo = async (record: IncomingRecord): Promise<void> => {
      await settle(records.slice(low, records.indexOf(record) + 1)).catch((error: unknown) => {
        commitError = error // the handler's own fault it is not
        throw new Stopped()
      })
    }
    watch?.took(partition, records, Number(BigInt(batch.highWatermark) - BigInt(batch.lastOffset()) - 1n))
    try {
      for (const { taken, work } of inLots(options, records)) {
        if (signal.aborted || !isRunning()) break
        watch?.handling(1)
        try {
          await work({ signal, suspect: suspects.has(partition), done: settleTo })
        } catch (error) {
          if (!(error instanceof Stopped)) {
            fail(error as Error)
            stopping.abort()
          }
          break
        } finally {
          watch?.handling(-1)
        }
        await settle(taken)
      }
      if (commitError !== undefined) throw commitError as Error
      await commit()
    } finally {
      clearInterval(pump)
    }
    if (heartbeatError !== undefined && !stopping.signal.aborted) throw heartbeatError as Error
  }

  await connectAndRun(consumer, topic, (payload) => {
    const batch = eachBatch(payload)
    const settled = batch.catch(() => undefined).finally(() => inHand.delete(settled))
    inHand.add(settled)
    return batch
  }).catch(async (error: unknown) => {
    // It may be connected, or even in its group, and nobody else has it.
    await within(5, consumer.disconnect())
    throw error
  })
  return {
    failed,
    async stop() {
      stopping.abort()
      // Once it is told to disconnect, kafkajs drops commits without a word: the records in hand come first.
      await within(
        20,
        Promise.all(inHand).then(() => consumer.disconnect()),
      )
    },
  }
}

function watchEvents(consumer: KafkaConsumer, watch: ConsumerWatch): void {
  consumer.on('consumer.fetch_start', () => watch.fetching())
  consumer.on('consumer.network.request', ({ payload }) => {
    if (payload.apiName === 'Fetch') watch.answered(payload.duration)
  })
  consumer.on('consumer.fetch', ({ payload }) => watch.fetched(payload.duration))
  consumer.on('consumer.network.request_queue_size', ({ payload }) => {
    if ('throttled' in payload) watch.throttled(payload.throttled as number)
  })
  consumer.on('consumer.rebalancing', () => watch.retried())
  consumer.on('consumer.crash', () => watch.retried())
  consumer.on('consumer.network.request_timeout', () => watch.retried())
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
  // All partitions of a fetch at once, so that the handler can choose among them, and one's commit holds up no other.
  const partitionsConsumedConcurrently = 1_000
  await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, partitionsConsumedConcurrently, eachBatch })
}

/** What is handed over at once, in its order. */
function inLots(
  handler: RecordHandler,
  records: IncomingRecord[],
): { taken: IncomingRecord[]; work: (context: AllContext) => Promise<void> }[] {
  if ('handleAll' in handler) return [{ taken: records, work: (context) => handler.handleAll(records, context) }]
  const { handle, urgency } = handler
  const ordered = urgency ? inOrderOf(urgency, records) : records
  return ordered.map((record) => ({ taken: [record], work: (context) => handle(record, context) }))
}

/** A stable sort; the list itself where nothing is urgent. */
function inOrderOf(urgency: (record: IncomingRecord) => number, records: IncomingRecord[]): IncomingRecord[] {
  const keyed = records.map((record) => ({ record, key: urgency(record) }))
  if (keyed.every(({ key }) => key === keyed[0]!.key)) return records
  return keyed.sort((a, b) => (a.key === b.key ? 0 : a.key - b.key)).map(({ record }) => record)
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
  const kafka = kafkaClient(settings)
  const groupId = `${topic}.tail-${randomUUID()}`
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
