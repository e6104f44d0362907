import { type IncomingRecord, type KafkaSettings } from './kafka.ts'
import { connectFetcher } from './kafka-fetch.ts'

export interface Range {
  partition: number
  /** First offset wanted. */
  from: bigint
  /** One past the last. */
  to: bigint
}

export interface TopicReader {
  /**
   * Gives the records of a range in order, one at a time; a promise is waited for.
   * @throws if nothing comes for 20 s, NoSuchPlace, the signal's reason, Kafka's error
   */
  read(range: Range, onRecord: (record: IncomingRecord) => void | Promise<void>): Promise<void>
  close(): Promise<void>
}

const STALL_SECONDS = 20
/** Of one fetch, and so of what is waiting in memory. */
const FETCH_BYTES = 1 << 20

/** Reads any parts of a topic in little memory, as no group. */
export async function openReader(settings: KafkaSettings, topic: string, signal?: AbortSignal): Promise<TopicReader> {
  const fetcher = await connectFetcher(settings, signal)
  return {
    async read({ partition, from, to }, onRecord) {
      let moved = performance.now()
      for (let offset = from; offset < to;) {
        const { records, next } = await fetcher.fetch({ topic, partition, offset }, FETCH_BYTES)
        for (const record of records) {
          if (record.offset >= to) return
          signal?.throwIfAborted()
          await onRecord(record)
        }
        if (next > offset) moved = performance.now()
        else if (performance.now() - moved > STALL_SECONDS * 1000) {
          throw new Error(`nothing of ${topic} came for ${STALL_SECONDS} s`)
        }
        offset = next
      }
    },
    close: () => fetcher.close(),
  }
}
