/**
 * The seam to Kafka: only this file, kafka-consumer.ts and kafka-admin.ts import kafkajs, which works but is
 * unmaintained. Its guards are here: a heartbeat pump of our own, manual commits, a deadline on everything that can
 * hang, codecs it lacks, its spinning timer.
 */
import kafkajs from 'kafkajs'
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js'
import Decoder from 'kafkajs/src/protocol/decoder.js'
import { codecs } from './kafka-codecs.ts'
import { clientSecurity, type KafkaSecurity } from './kafka-security.ts'
import { type Logger } from './log.ts'
import { fewRecords, guarded } from './record-batch-guard.ts'
import { within } from './within.ts'

const { CompressionCodecs, CompressionTypes, Kafka, logLevel, Partitioners } = kafkajs
for (const [type, codec] of [
  [CompressionTypes.GZIP, guarded(codecs.gzip)],
  [CompressionTypes.Snappy, guarded(codecs.snappy)],
  [CompressionTypes.LZ4, guarded(codecs.lz4)],
  [CompressionTypes.ZSTD, guarded(codecs.zstd)],
] as const) {
  CompressionCodecs[type] = () => codec
}

const slice = Decoder.prototype.slice
Decoder.prototype.slice = function (bytes): Decoder {
  const cut = slice.call(this, bytes)
  if (cut.buffer.length === bytes) cut.buffer = fewRecords(cut.buffer) // else it is only the begin of a record batch
  return cut
}

// Without this every idle connection wakes up 900 times a second (kafkajs#1751).
const queue = RequestQueue.prototype
const schedule = queue.scheduleCheckPendingRequests
queue.scheduleCheckPendingRequests = function (): void {
  if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this)
}

// That a broker holds a client back, by a quota, is told by no event: it goes with one that there is (kafka-consumer.ts).
const throttle = queue.maybeThrottle
queue.maybeThrottle = function (milliseconds): void {
  throttle.call(this, milliseconds)
  if (milliseconds) this.instrumentationEmitter?.emit('network.request_queue_size', { throttled: milliseconds })
}

export interface KafkaSettings {
  brokers: string[]
  clientId: string
  log: Logger
  /** Without it: neither TLS nor a login. */
  security?: KafkaSecurity | undefined
}

export interface OutgoingRecord {
  topic: string
  /** Records of one key go to one partition, and so keep their order; those without go round. */
  key?: Uint8Array | null
  headers: Record<string, string>
  value: Uint8Array | null
}

export interface IncomingRecord {
  topic: string
  partition: number
  offset: bigint
  key: Uint8Array | null
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

/** A client of kafkajs, for the files of the seam. */
export function kafkaClient({ brokers, clientId, log, security = {} }: KafkaSettings): kafkajs.Kafka {
  return new Kafka({
    brokers,
    clientId,
    ...clientSecurity(security),
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
    const producer = kafkaClient(settings).producer({
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
      for (const { topic, key, headers, value } of records) {
        const messages = byTopic.get(topic) ?? []
        byTopic.set(topic, messages)
        messages.push({ key: key ? asBuffer(key) : null, headers, value: value && asBuffer(value) })
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

const asBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, byteLength)

/**
 * Chunks carry no key: they go round the partitions, so that all workers take part in a large batch. A message keeps its
 * partition: kafkajs asks again for each retry. What has a key goes where Java's client would send it.
 */
const roundRobin: kafkajs.ICustomPartitioner = () => {
  const byKey = Partitioners.DefaultPartitioner()
  const next = new Map<string, number>()
  const chosen = new WeakMap<kafkajs.Message, number>()
  return ({ topic, partitionMetadata, message }) => {
    if (message.key) return byKey({ topic, partitionMetadata, message })
    const before = chosen.get(message)
    if (before !== undefined) return before
    const turn = next.get(topic) ?? Math.floor(Math.random() * partitionMetadata.length)
    next.set(topic, (turn + 1) % partitionMetadata.length)
    const { partitionId } = partitionMetadata[turn % partitionMetadata.length]!
    chosen.set(message, partitionId)
    return partitionId
  }
}
