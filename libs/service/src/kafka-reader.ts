import { randomUUID } from 'node:crypto'
import { kafkaClient, type IncomingRecord, type KafkaSettings } from './kafka.ts'
import { incoming } from './kafka-consumer.ts'
import { within } from './within.ts'

export interface Range {
  partition: number
  /** First offset wanted. */
  from: bigint
  /** One past the last. */
  to: bigint
}

export interface TopicReader {
  /**
   * Gives the records of a range in order, one at a time; a promise is waited for. Ranges of one partition are read
   * either towards its end or from its end backwards. @throws if nothing comes for 20 s, the signal's reason
   */
  read(range: Range, onRecord: (record: IncomingRecord) => void | Promise<void>): Promise<void>
  close(): Promise<void>
}

interface Reading extends Range {
  next: bigint
  onRecord: (record: IncomingRecord) => void | Promise<void>
  done: (error?: Error) => void
  alive: () => void
}

const STALL_SECONDS = 20

/**
 * Reads any parts of a topic in little memory, in a group of its own that commits nothing and is deleted afterwards:
 * nobody's offsets are touched. Its name begins as the topic's: what a prefix allows to a user covers both.
 */
export async function openReader(settings: KafkaSettings, topic: string, signal?: AbortSignal): Promise<TopicReader> {
  const kafka = kafkaClient(settings)
  const groupId = `${topic}.read-${randomUUID()}`
  const consumer = kafka.consumer({
    groupId,
    maxWaitTimeInMs: 100,
    sessionTimeout: 30_000,
    allowAutoTopicCreation: false,
  })
  let reading: Reading | undefined
  const close = async (): Promise<void> => {
    await within(5, consumer.disconnect())
    const admin = kafka.admin()
    await within(
      5,
      admin.connect().then(() => admin.deleteGroups([groupId])),
    )
    await within(5, admin.disconnect())
  }
  consumer.on('consumer.crash', ({ payload }) => reading?.done(payload.error))
  try {
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: false })
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: async ({ batch, resolveOffset, heartbeat, isRunning }) => {
        for (const message of batch.messages) {
          const now = reading
          const offset = BigInt(message.offset)
          // What an earlier range had fetched too much of.
          if (!now || now.partition !== batch.partition || offset < now.next || offset >= now.to || !isRunning()) return
          try {
            await now.onRecord(incoming(topic, batch.partition, message))
          } catch (error) {
            return now.done(error as Error)
          }
          now.next = offset + 1n
          now.alive()
          resolveOffset(message.offset)
          if (now.next === now.to) return now.done()
          await heartbeat()
        }
      },
    })
  } catch (error) {
    await close()
    throw error
  }
  const all = (partition: number) => [{ topic, partitions: [partition] }]
  return {
    read({ partition, from, to }, onRecord) {
      if (from >= to) return Promise.resolve()
      return new Promise((resolve, reject) => {
        const stalled = (): void => done(new Error(`nothing of ${topic} came for ${STALL_SECONDS} s`))
        const onAbort = (): void => done(signal!.reason as Error)
        let timer = setTimeout(stalled, STALL_SECONDS * 1000)
        const done = (error?: Error): void => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', onAbort)
          reading = undefined
          consumer.pause(all(partition))
          if (error) reject(error)
          else resolve()
        }
        const alive = (): void => {
          clearTimeout(timer)
          timer = setTimeout(stalled, STALL_SECONDS * 1000)
        }
        reading = { partition, from, to, next: from, onRecord, done, alive }
        if (signal?.aborted) return onAbort()
        signal?.addEventListener('abort', onAbort)
        consumer.seek({ topic, partition, offset: String(from) })
        consumer.resume(all(partition))
      })
    },
    close,
  }
}
