import { RowBuffer } from '@rates/core/row-buffer'
import { failpoint } from '@rates/service/failpoints'
import { type IncomingRecord } from '@rates/service/kafka'
import { Stopped, type RecordContext } from '@rates/service/kafka-consumer'
import { openBatch, type LedgerBatch } from '@rates/service/ledger/open'
import { relate } from './conflict.ts'
import { readRecord, type IncomingChunk } from './incoming.ts'
import { type RecordIngester } from './ingest-record.ts'
import { type Retry } from './retry.ts'
import { storeChunks, type ChunkRow } from './store-chunk.ts'

/** A record that waits to be taken to its end. */
export interface Fetched {
  record: IncomingRecord
  context: RecordContext
}

/**
 * Whether two records look like chunks of one batch that may be stored together. A suspect is always alone: it has to be
 * told which record ends its worker.
 */
export function mayJoin(first: Fetched, other: Fetched): boolean {
  const [a, b] = [first.record.headers, other.record.headers]
  const id = a.get('batch-id')
  return (
    !first.context.suspect &&
    !other.context.suspect &&
    id !== undefined &&
    id === b.get('batch-id') &&
    [a, b].every((headers) => headers.has('chunk') && !headers.has('control'))
  )
}

interface ParsedChunk {
  record: IncomingRecord
  incoming: Pick<IncomingChunk, 'batch' | 'chunk' | 'total' | 'sha256'>
  row: ChunkRow
}

/**
 * Stores chunks of one batch that were fetched together in one transaction, their rows packed together: of scattered
 * rows that makes a third of the packs, and of sorted ones fewer transactions. It is for clean chunks that are new to
 * their batch, as nearly all are; where anything is out of the ordinary each record is taken by itself.
 */
export class TogetherIngester {
  /** One for each chunk of a turn, made when they are first needed. */
  private readonly buffers: RowBuffer[] = []
  private readonly single: RecordIngester

  constructor(single: RecordIngester) {
    this.single = single
  }

  /** Takes records to their end. */
  async ingest(fetched: Fetched[]): Promise<PromiseSettledResult<void>[]> {
    if (fetched.length > 1 && (await this.together(fetched))) {
      return fetched.map(() => ({ status: 'fulfilled', value: undefined }))
    }
    const results: PromiseSettledResult<void>[] = []
    for (const { record, context } of fetched) {
      results.push(...(await Promise.allSettled([this.single.ingest(record, context)])))
    }
    return results
  }

  /** @returns false if nothing was done: then each has to be taken by itself. @throws Stopped */
  private async together(fetched: Fetched[]): Promise<boolean> {
    const signal = AbortSignal.any(fetched.map(({ context }) => context.signal))
    if (signal.aborted) throw new Stopped()
    const { pool, metrics, replies, clock } = this.single.deps
    const retry = this.single.retryUntil(signal)
    failpoint('took-record')
    const chunks = await this.parse(fetched, retry)
    if (!chunks || !agree(chunks)) return false
    failpoint('parsed')
    const [{ incoming, record }] = chunks as [ParsedChunk, ...ParsedChunk[]]
    const { batch: headers } = incoming
    if (headers.replyTo !== undefined && !replies.allowed.includes(headers.replyTo)) return false
    clock.enter('copy')
    const at = new Date(record.timestamp)
    const { batch } = await retry('open', () => openBatch(pool, headers, record.topic, at))
    failpoint('opened-batch')
    if (!(await retry('relate', () => this.areNew(chunks, batch)))) return false
    failpoint('before-chunk')
    const encode = () => this.single.packer.encode(this.buffers.slice(0, chunks.length), this.ports, batch.no)
    const rows = chunks.map(({ row }) => row)
    const stored = await retry('store', () => storeChunks(pool, batch.no, rows, batch.dryRun ? undefined : encode))
    if (stored !== 'stored') return false
    for (const row of rows) {
      metrics.chunkSeconds.observe((Date.now() - row.takenAt.getTime()) / 1000)
      metrics.stored(row)
    }
    metrics.chunks.inc({ relation: 'new' }, rows.length)
    failpoint('after-chunk')
    await this.single.publishIfComplete(batch, record, retry, 1)
    failpoint('handled-record')
    return true
  }

  private get ports() {
    return this.single.deps.catalog.ports
  }

  /** Parses all; undefined if one of them is no clean chunk. A body is dropped when its rows are in the buffer. */
  private async parse(fetched: Fetched[], retry: Retry): Promise<ParsedChunk[] | undefined> {
    const { reader, deps } = this.single
    const chunks: ParsedChunk[] = []
    const { ports } = this
    for (const [i, { record }] of fetched.entries()) {
      const takenAt = new Date()
      deps.clock.enter('decode')
      const read = await readRecord(record)
      if (read.kind !== 'chunk') return undefined
      deps.clock.enter('validate')
      const rows = (this.buffers[i] ??= new RowBuffer())
      if ((await retry('parse', () => reader.parse(read, rows))) || rows.rejected > 0) return undefined
      const { batch, chunk, total, sha256 } = read
      const row = await reader.chunkRow(record, read, rows, 1, takenAt)
      chunks.push({ record, incoming: { batch, chunk, total, sha256 }, row })
    }
    // The catalogue was read again in between: the first chunks' ports were counted by the old one.
    return ports === this.ports ? chunks : undefined
  }

  private async areNew(chunks: ParsedChunk[], batch: LedgerBatch): Promise<boolean> {
    for (const { record, incoming } of chunks) {
      const { kind } = await relate(this.single.deps.pool, batch, incoming, record)
      if (kind !== 'new') return false
    }
    return true
  }
}

/** Chunks that the ledger does not know yet may still contradict each other. */
export function agree(chunks: readonly { incoming: Pick<IncomingChunk, 'chunk' | 'total'> }[]): boolean {
  const numbers = new Set(chunks.map(({ incoming }) => incoming.chunk))
  const totals = new Set(chunks.flatMap(({ incoming }) => incoming.total ?? []))
  const [total = Infinity] = totals
  return numbers.size === chunks.length && totals.size <= 1 && Math.max(...numbers) < total
}
