import { setTimeout as sleep } from 'node:timers/promises'
import type kafkajs from 'kafkajs'
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
  /** From the offset on, in order; none if there is nothing yet. */
  records: IncomingRecord[]
  /** Where it goes on. */
  next: bigint
}

/** Reads records by their places, as no group: nothing is joined, committed or left behind. */
export interface Fetcher {
  /** The ends of all partitions of a topic; none if there is no such topic. */
  ends(topic: string): Promise<PartitionEnds[]>
  /**
   * What lies from a place on: one record batch at least (a megabyte, as a rule), and no more than `maxBytes` in all.
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

/** After so long without an answer a fault is no passing one. */
const PATIENCE_MILLISECONDS = 20_000
const READ_COMMITTED = 1

/** kafkajs fetches for groups alone: this is the part of it below them, which its client makes for itself. */
interface Cluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  addTargetTopic(topic: string): Promise<void>
  refreshMetadata(): Promise<void>
  findTopicPartitionMetadata(topic: string): { partitionId: number; leader: number }[]
  fetchTopicsOffset(
    topics: { topic: string; partitions: { partition: number }[]; fromBeginning: boolean }[],
  ): Promise<{ partitions: { partition: number; offset: string }[] }[]>
  findBroker(which: { nodeId: string }): Promise<{
    fetch(request: object): Promise<{ responses: { partitions: { messages: Message[] }[] }[] }>
  }>
  removeBroker(place: { host: string; port: number }): void
}
type Message = kafkajs.KafkaMessage & { isControlRecord?: boolean }

function clusterOf(settings: KafkaSettings): Cluster {
  const client = kafkaClient(settings) as unknown as Record<symbol, (options: object) => Cluster>
  const create = Object.getOwnPropertySymbols(client).find(
    ({ description }) => description === 'private:Kafka:createCluster',
  )
  if (!create) throw new Error('this kafkajs is made otherwise than 2.2.4')
  return client[create]!({ metadataMaxAge: 300_000, allowAutoTopicCreation: false, isolationLevel: READ_COMMITTED })
}

/** @throws Kafka's error, the signal's reason */
export async function connectFetcher(settings: KafkaSettings, signal?: AbortSignal): Promise<Fetcher> {
  const cluster = clusterOf(settings)
  const close = (): Promise<void> => within(5, cluster.disconnect())
  const stopped = signal && rejectOn(signal)
  const orStopped = <T>(work: Promise<T>): Promise<T> => (stopped ? Promise.race([work, stopped]) : work)

  /** Brokers come and go, and leaders with them. */
  const patiently = async <T>(work: () => Promise<T>): Promise<T> => {
    const until = performance.now() + PATIENCE_MILLISECONDS
    for (;;) {
      try {
        return await orStopped(work())
      } catch (error) {
        const { retriable, name, host, port } = error as { retriable?: boolean; name: string; host: string; port: number }
        if (signal?.aborted || retriable !== true || performance.now() > until) throw error
        if (name === 'KafkaJSConnectionClosedError') cluster.removeBroker({ host, port })
        await sleep(100)
        await orStopped(cluster.refreshMetadata()).catch(() => undefined)
      }
    }
  }

  try {
    await orStopped(cluster.connect())
  } catch (error) {
    await close()
    throw error
  }
  return {
    ends(topic) {
      return patiently(async () => {
        await cluster.addTargetTopic(topic)
        const partitions = cluster.findTopicPartitionMetadata(topic).map(({ partitionId: partition }) => ({ partition }))
        const offsets = async (fromBeginning: boolean): Promise<Map<number, bigint>> => {
          const [found] = await cluster.fetchTopicsOffset([{ topic, partitions, fromBeginning }])
          return new Map(found?.partitions.map(({ partition, offset }) => [partition, BigInt(offset)]))
        }
        const [lows, highs] = await Promise.all([offsets(true), offsets(false)])
        return partitions.map(({ partition }) => ({ partition, low: lows.get(partition)!, high: highs.get(partition)! }))
      })
    },
    fetch(from, maxBytes) {
      const { topic, partition, offset } = from
      const fetchOffset = String(offset)
      return patiently(async () => {
        await cluster.addTargetTopic(topic)
        const found = cluster.findTopicPartitionMetadata(topic).find(({ partitionId }) => partitionId === partition)
        if (!found) throw new NoSuchPlace(from)
        const broker = await cluster.findBroker({ nodeId: String(found.leader) })
        const topics = [{ topic, partitions: [{ partition, fetchOffset, maxBytes }] }]
        const { responses } = await broker
          .fetch({ maxWaitTime: 5_000, minBytes: 1, maxBytes, isolationLevel: READ_COMMITTED, topics })
          .catch((error: unknown) => {
            throw (error as Error).name === 'KafkaJSOffsetOutOfRange' ? new NoSuchPlace(from) : error
          })
        const messages = responses[0]?.partitions[0]?.messages ?? []
        const last = messages.at(-1)
        // A record batch comes whole, also where the place is in the middle of it.
        const wanted = messages.filter((message) => BigInt(message.offset) >= offset && !message.isControlRecord)
        const next = last === undefined ? offset : BigInt(last.offset) + 1n
        return {
          records: wanted.map((message) => incoming(topic, partition, message)),
          next: next > offset ? next : offset,
        }
      })
    },
    close,
  }
}

function rejectOn(signal: AbortSignal): Promise<never> {
  const rejection = new Promise<never>((_, reject) => {
    const fail = (): void => reject(signal.reason as Error)
    if (signal.aborted) fail()
    else signal.addEventListener('abort', fail, { once: true })
  })
  rejection.catch(() => undefined)
  return rejection
}
