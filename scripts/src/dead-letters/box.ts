import { type IncomingRecord, type KafkaSettings } from '@rates/service/kafka'
import { type Admin, type PartitionEnds } from '@rates/service/kafka-admin'
import { openReader, type TopicReader } from '@rates/service/kafka-reader'
import { readLetter, type Letter } from './letter.ts'

export interface Filter {
  reason?: string | undefined
  batch?: string | undefined
  /** Milliseconds since 1970. */
  since?: number | undefined
}

/** Records that are read at once while looking backwards. */
const WINDOW = 200n

/** The dead letters' topic, as it was when it was opened: what comes later is not seen. Little of it is in memory. */
export class LetterBox {
  private readonly reader: TopicReader
  private readonly parts: readonly PartitionEnds[]

  private constructor(reader: TopicReader, parts: readonly PartitionEnds[]) {
    this.reader = reader
    this.parts = parts
  }

  static async open(
    kafka: KafkaSettings,
    admin: Admin,
    topic: string,
    since: number | undefined,
    signal: AbortSignal,
  ): Promise<LetterBox> {
    const [ends, from] = await Promise.all([
      admin.ends(topic),
      since === undefined ? undefined : admin.offsetsAt(topic, since),
    ])
    const parts = ends.map(({ partition, low, high }) => {
      const start = from?.get(partition) ?? low
      return { partition, low: start > low ? start : low, high }
    })
    return new LetterBox(await openReader(kafka, topic, signal), parts)
  }

  /** Letters that may be there, whatever the filter: what is to be looked through at most. */
  get size(): number {
    return Number(this.parts.reduce((sum, { low, high }) => sum + high - low, 0n))
  }

  /** The newest first, at most `limit`; `more`: there are older ones. */
  async newest(filter: Filter, limit: number): Promise<{ letters: Letter[]; more: boolean }> {
    const found: Letter[] = []
    for (const { partition, low, high } of this.parts) {
      const ofPart: Letter[] = []
      // One more than wanted tells whether there are older ones.
      for (let to = high; to > low && ofPart.length <= limit;) {
        const from = to - WINDOW > low ? to - WINDOW : low
        const window: Letter[] = []
        await this.reader.read({ partition, from, to }, (record) => {
          const letter = readLetter(record)
          if (fits(letter, filter)) window.push(letter)
        })
        ofPart.push(...window.reverse())
        to = from
      }
      found.push(...ofPart.slice(0, limit + 1))
    }
    found.sort((a, b) => b.at - a.at)
    return { letters: found.slice(0, limit), more: found.length > limit }
  }

  /** All of a filter, the oldest of each partition first, one at a time. */
  async each(filter: Filter, take: (letter: Letter, record: IncomingRecord) => Promise<void>): Promise<void> {
    for (const { partition, low: from, high: to } of this.parts) {
      await this.reader.read({ partition, from, to }, async (record) => {
        const letter = readLetter(record)
        if (fits(letter, filter)) await take(letter, record)
      })
    }
  }

  /** One letter by its id; undefined: there is none. */
  async find(id: string): Promise<{ letter: Letter; record: IncomingRecord } | undefined> {
    const [partition, offset] = id.split('-')
    const part = this.parts.find((each) => String(each.partition) === partition)
    const from = BigInt(offset!)
    if (!part || from < part.low || from >= part.high) return undefined
    let found: { letter: Letter; record: IncomingRecord } | undefined
    await this.reader.read({ partition: part.partition, from, to: from + 1n }, (record) => {
      found = { letter: readLetter(record), record }
    })
    return found
  }

  close(): Promise<void> {
    return this.reader.close()
  }
}

const fits = (letter: Letter, { reason, batch, since }: Filter): boolean =>
  (reason === undefined || letter.reason === reason) &&
  (batch === undefined || letter.batchId === batch) &&
  (since === undefined || letter.at >= since)
