import { idByPlace, readEnvelope } from '@rates/core/wire'
import { sha256 } from '@rates/service/compression'
import { type Fetcher } from '@rates/service/kafka-fetch'
import { type IncomingRecord } from '@rates/service/kafka'
import { differentHeader } from '@rates/service/ledger/batch-headers'
import { type ChunkPlace, type Ended } from './retry-ledger.ts'

/** Records that workers met once their batch had ended are not in the ledger: they are looked for this long. */
const SEARCH_MILLISECONDS = 20_000
/** The ledger knows when a batch was opened, by the first record that was taken; another may have come before it. */
const BEFORE_MILLISECONDS = 60_000
/** By the chunk time-out chunks that belong together come no further apart. */
const APART_MILLISECONDS = 900_000
const FETCH_BYTES = 1 << 20

/** Chunks of a batch by their numbers. */
export interface Found {
  places: Map<number, ChunkPlace>
  total: number | null
  /** How many are missing still; null: nobody knows how many there are. */
  missing: number | null
  /** Not all was looked through: it would have taken too long. */
  gaveUp: boolean
}

interface Part {
  topic: string
  partition: number
  offset: bigint
  high: bigint
  /** Of its last record that was looked at. */
  time: number
}

/**
 * Looks through what came since the batch was opened, the oldest of all partitions first, for the chunks that the ledger
 * does not have, until all are found. They lie close together as a rule, for they were sent together.
 */
export async function findMissing(
  fetcher: Fetcher,
  topics: readonly string[],
  batch: Ended,
  stored: readonly number[],
  signal: AbortSignal,
): Promise<Found> {
  const { createdAt, firstAt, lastAt } = batch
  const search = new Search(batch, stored)
  const since = Math.min(createdAt.getTime(), firstAt?.getTime() ?? Infinity) - BEFORE_MILLISECONDS
  let last = Math.max(createdAt.getTime(), lastAt?.getTime() ?? 0)
  const parts = (await Promise.all(topics.map((topic) => partsOf(fetcher, topic, since)))).flat()
  const until = performance.now() + SEARCH_MILLISECONDS
  while (search.missing !== 0) {
    const behind = parts.filter(({ offset, high, time }) => offset < high && time <= last + APART_MILLISECONDS)
    if (behind.length === 0) break
    if (performance.now() > until) return search.result(true)
    signal.throwIfAborted()
    const part = behind.reduce((a, b) => (b.time < a.time ? b : a))
    const { records, next } = await fetcher.fetch(part, FETCH_BYTES)
    for (const record of records) {
      part.time = Math.max(part.time, record.timestamp)
      if (record.offset < part.high && search.take(record)) last = Math.max(last, record.timestamp)
    }
    // Nothing came though there is something: it is not for readers.
    part.offset = next > part.offset ? next : part.high
  }
  return search.result(false)
}

async function partsOf(fetcher: Fetcher, topic: string, since: number): Promise<Part[]> {
  const [ends, from] = await Promise.all([fetcher.ends(topic), fetcher.offsetsAt(topic, since)])
  return ends.map(({ partition, low, high }) => {
    const start = from.get(partition) ?? high
    return { topic, partition, offset: start > low ? start : low, high, time: since }
  })
}

class Search {
  readonly #batch: Ended
  readonly #known: Set<number>
  readonly #places = new Map<number, ChunkPlace>()
  #total: number | null

  constructor(batch: Ended, stored: readonly number[]) {
    this.#batch = batch
    this.#known = new Set(stored)
    this.#total = batch.total
  }

  get missing(): number | null {
    return this.#total === null ? null : this.#total - this.#known.size
  }

  /** @returns true if it is a chunk that was missing */
  take(record: IncomingRecord): boolean {
    const { id, state, stored } = this.#batch
    const named = record.headers.get('batch-id')
    // Most are others'.
    if (named === undefined ? idByPlace(record) !== id : named !== id) return false
    const envelope = readEnvelope(record.headers)
    if ((envelope.kind !== 'chunk' && envelope.kind !== 'whole') || envelope.batch.dryRun || !record.value) return false
    const [chunk, total] = envelope.kind === 'chunk' ? [envelope.chunk, envelope.chunks] : [0, 1]
    // What contradicts the batch is none of it. One that was cancelled before its first chunk has no headers to compare.
    const comparable = state !== 'cancelled' || stored > 0
    if (comparable && differentHeader(this.#batch, { ...envelope.batch, batchId: id })) return false
    if (this.#total !== null && (chunk >= this.#total || (total !== undefined && total !== this.#total))) return false
    const digest = sha256(record.value)
    if (envelope.sha256 !== undefined && envelope.sha256 !== digest.toString('hex')) return false
    this.#total ??= total ?? null
    if (this.#known.has(chunk)) return false
    const { topic, partition, offset } = record
    this.#known.add(chunk)
    this.#places.set(chunk, { chunk, topic, partition, offset, sha256: digest })
    return true
  }

  result(gaveUp: boolean): Found {
    return { places: this.#places, total: this.#total, missing: this.missing, gaveUp }
  }
}
