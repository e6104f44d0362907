import { setTimeout as sleep } from 'node:timers/promises'
import type kafkajs from 'kafkajs'
import Batch from 'kafkajs/src/consumer/batch.js'
import { kafkaClient, type IncomingRecord, type KafkaSettings } from './kafka.ts'
import { type PartitionEnds } from './kafka-admin.ts'
import { incoming } from './kafka-consumer.ts'
import { within } from './within.ts'

/** Where a record lies. */
export interface Place {
  topic: string
  partition: number
  offset: bigint
}

export interface Fetched {
  /** From the place on, in order. */
  records: IncomingRecord[]
  /** The offset to go on with: the place's own, if there is nothing yet. */
  next: bigint
}

/** Reads records by their places and as no group: nothing is joined, committed or left behind. */
export interface Fetcher {
  /** Of all partitions of a topic. @throws as fetch */
  ends(topic: string): Promise<PartitionEnds[]>
  /** Each partition's first record at or after a time (milliseconds since 1970); absent where there is none. */
  offsetsAt(topic: string, time: number): Promise<Map<number, bigint>>
  /**
   * What lies from a place on: `maxBytes` at most, but one record batch at least (which has one megabyte, as a rule).
   * Waits up to five seconds at the end of a partition. @throws NoSuchPlace, the signal's reason, Kafka's error
   */
  fetch(from: Place, maxBytes: number): Promise<Fetched>
  close(): Promise<void>
}

/** Kafka has no such record, or not any more. */
export class NoSuchPlace extends Error {
  constructor({ topic, partition, offset }: Place) {
    super(`${topic} has no record ${offset} in partition ${partition}`)
    this.name = 'NoSuchPlace'
  }
}

/** A fault that lasts so long is no passing one. */
const PATIENCE_MILLISECONDS = 20_000
const READ_COMMITTED = 1

/** kafkajs lets only groups fetch: this is what its client makes below them. */
interface Cluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  addTargetTopic(topic: string): Promise<void>
  refreshMetadata(): Promise<void>
  findTopicPartitionMetadata(topic: string): { partitionId: number; leader: number }[]
  fetchTopicsOffset(
    topics: ({ topic: string; partitions: { partition: number }[] } & From)[],
  ): Promise<{ partitions: { partition: number; offset: string }[] }[]>
  findBroker(which: { nodeId: string }): Promise<{
    fetch(request: object): Promise<{ responses: { partitions: { messages: kafkajs.KafkaMessage[] }[] }[] }>
  }>
  removeBroker(place: { host: string; port: number }): void
}

type From = { fromBeginning: boolean } | { fromTimestamp: number }

function clusterOf(settings: KafkaSettings): Cluster {
  const client = kafkaClient(settings) as unknown as Record<symbol, (options: object) => Cluster>
  const create = Object.getOwnPropertySymbols(client).find(
    ({ description }) => description === 'private:Kafka:createCluster',
  )
  if (!create) throw new Error('kafkajs has changed: 2.2.4 made its clusters by a function of its client')
  return client[create]!({ metadataMaxAge: 300_000, allowAutoTopicCreation: false, isolationLevel: READ_COMMITTED })
}

/** @throws Kafka's error, the signal's reason */
export async function connectFetcher(settings: KafkaSettings, signal?: AbortSignal): Promise<Fetcher> {
  const cluster = clusterOf(settings)
  try {
    await orAborted(cluster.connect(), signal)
  } catch (error) {
    await within(5, cluster.disconnect())
    throw error
  }
  return new ClusterFetcher(cluster, signal)
}

class ClusterFetcher implements Fetcher {
  readonly #cluster: Cluster
  readonly #signal: AbortSignal | undefined

  constructor(cluster: Cluster, signal: AbortSignal | undefined) {
    this.#cluster = cluster
    this.#signal = signal
  }

  async ends(topic: string): Promise<PartitionEnds[]> {
    const [lows, highs] = await Promise.all([
      this.#offsets(topic, { fromBeginning: true }),
      this.#offsets(topic, { fromBeginning: false }),
    ])
    return [...lows].map(([partition, low]) => ({ partition, low, high: highs.get(partition) ?? low }))
  }

  async offsetsAt(topic: string, fromTimestamp: number): Promise<Map<number, bigint>> {
    const offsets = await this.#offsets(topic, { fromTimestamp })
    return new Map([...offsets].filter(([, offset]) => offset >= 0n))
  }

  #offsets(topic: string, from: From): Promise<Map<number, bigint>> {
    return this.#patiently(async () => {
      await this.#cluster.addTargetTopic(topic)
      const parts = this.#cluster.findTopicPartitionMetadata(topic)
      const partitions = parts.map(({ partitionId }) => ({ partition: partitionId }))
      const [found] = await this.#cluster.fetchTopicsOffset([{ topic, partitions, ...from }])
      return new Map(found?.partitions.map(({ partition, offset }) => [partition, BigInt(offset)]))
    })
  }

  fetch(from: Place, maxBytes: number): Promise<Fetched> {
    const { topic, partition, offset } = from
    const fetchOffset = String(offset)
    const topics = [{ topic, partitions: [{ partition, fetchOffset, maxBytes }] }]
    return this.#patiently(async () => {
      await this.#cluster.addTargetTopic(topic)
      const parts = this.#cluster.findTopicPartitionMetadata(topic)
      const part = parts.find(({ partitionId }) => partitionId === partition)
      if (!part) throw new NoSuchPlace(from)
      const broker = await this.#cluster.findBroker({ nodeId: String(part.leader) })
      const { responses } = await broker
        .fetch({ maxWaitTime: 5_000, minBytes: 1, maxBytes, isolationLevel: READ_COMMITTED, topics })
        .catch((error: Error) => {
          throw error.name === 'KafkaJSOffsetOutOfRange' ? new NoSuchPlace(from) : error
        })
      const data = responses[0]?.partitions[0]
      if (!data) return { records: [], next: offset }
      const { messages, rawMessages } = new Batch(topic, fetchOffset, data)
      const last = rawMessages.at(-1)
      return {
        records: messages.map((message) => incoming(topic, partition, message)),
        next: last === undefined ? offset : BigInt(last.offset) + 1n,
      }
    })
  }

  close(): Promise<void> {
    return within(5, this.#cluster.disconnect())
  }

  /** Brokers come and go, and leaders with them. */
  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    const until = performance.now() + PATIENCE_MILLISECONDS
    for (;;) {
      try {
        return await orAborted(work(), this.#signal)
      } catch (error) {
        if (this.#signal?.aborted || !passes(error) || performance.now() > until) throw error
        if (error.name === 'KafkaJSConnectionClosedError') this.#cluster.removeBroker(error)
        await sleep(100)
        await orAborted(this.#cluster.refreshMetadata(), this.#signal).catch(() => undefined)
      }
    }
  }
}

/** As kafkajs tells it; the place is told where a connection was lost. */
const passes = (error: unknown): error is Error & { host: string; port: number } =>
  (error as { retriable?: boolean }).retriable === true

/** Not Promise.race: what that has won is kept for as long as the loser is not settled. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
