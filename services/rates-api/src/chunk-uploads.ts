import { setTimeout as sleep } from 'node:timers/promises'
import { CSV_HEADER } from '@rates/core/csv'
import { FAST_LANE_CHUNKS, MAX_CHUNKS } from '@rates/core/limits'
import { BATCH_ID, writeChunkHeaders, type BatchHeaders, type ChunkHeaders } from '@rates/core/wire'
import { sha256 } from '@rates/service/compression'
import { failpoint } from '@rates/service/failpoints'
import { differentHeader, headersOf } from '@rates/service/ledger/batch-headers'
import { openBatch } from '@rates/service/ledger/open'
import { type TopicNames } from '@rates/service/topics'
import { type Pool } from 'pg'
import { checkContent, type ChunkContent, type CheckedContent } from './chunk-content.ts'
import {
  chooseLane,
  countChunks,
  findChunk,
  missingChunks,
  storedChunks,
  type OpenedBatch,
  type StoredChunk,
} from './chunk-ledger.ts'
import { hasEnded, judgeChunk, judgeChunks } from './chunk-verdict.ts'
import { noBatch, notSeenYet } from './no-batch.ts'
import { Problem } from './problem.ts'
import { kafkaAway, SendFailed, type SharedProducer } from './shared-producer.ts'

export interface ChunkUpload extends ChunkContent {
  id: string
  dryRun: boolean
  chunk: number
  /** The batch's number of chunks, where its sender knows it. */
  total: number | undefined
  /** How much of the batch is sent with this chunk and those before it, above 0 and up to 1. */
  progress: number | undefined
}

/** What became of a chunk: `stored` if the ledger had it before, else Kafka has it. */
export interface TakenChunk {
  stored: boolean
  sha256: string
  rows: number
}

export interface Completed {
  /** As the ledger has them: one more than was said where a closing chunk was needed. */
  chunks: number
  ended: boolean
}

export interface ChunkUploadParts {
  pool: Pool
  producer: SharedProducer
  topics: Pick<TopicNames, 'batches' | 'bulk'>
}

/** The smallest text below this progress is 0 on the wire, which is none. */
const LEAST_PROGRESS = 1e-6

/** Pauses between two looks at a batch whose chunks are waited for, in milliseconds. */
const FIRST_PAUSE = 50
const LONGEST_PAUSE = 500

/**
 * Batches that are uploaded chunk by chunk, in any order, by any instance. Nothing of them is kept here: a batch is a row
 * of the ledger from its opening, a chunk that was acknowledged lies in Kafka, and workers take it as any other. So
 * whatever breaks, the sender goes on with what was not acknowledged; what comes again is the same chunk. A batch whose
 * chunks stay away fails as incomplete after the chunk timeout.
 */
export class ChunkUploads {
  readonly #parts: ChunkUploadParts
  #checked: Promise<unknown> = Promise.resolve()

  constructor(parts: ChunkUploadParts) {
    this.#parts = parts
  }

  /** @returns whether it was opened, or was open before. @throws Problem 409 */
  async open(headers: BatchHeaders): Promise<{ opened: boolean }> {
    const { batch, opened } = await openBatch(this.#parts.pool, headers, null, new Date())
    if (opened) return { opened }
    // One that was cancelled before its first chunk may have none of its headers.
    const different = batch.state === 'cancelled' ? undefined : differentHeader(batch, headers)
    if (different) {
      const { name, sent, known } = different
      const detail = `The header ${name} is ${JSON.stringify(sent)} here; batch ${batch.id} has ${JSON.stringify(known)}.`
      throw new Problem(409, detail, { extensions: { code: 'conflict', header: name, state: batch.state } })
    }
    if (batch.state !== 'open') throw hasEnded(batch)
    return { opened }
  }

  /** Resolves when Kafka has acknowledged the chunk, or the ledger has it. @throws Problem */
  async take(upload: ChunkUpload): Promise<TakenChunk> {
    const { pool, producer } = this.#parts
    const { id, dryRun, chunk, total } = upload
    const content = await this.#check(upload)
    const taken = { sha256: content.sha256.toString('hex'), rows: content.rows }
    const known = await findChunk(pool, id, dryRun, chunk)
    if (!known) throw notSeenYet(id, `: PUT /batches/${id} opens it`)
    if (judgeChunk(known, { chunk, total, sha256: content.sha256 }) === 'stored') return { ...taken, stored: true }
    const kafka = await producer.acquire()
    const { format, encoding, body } = upload
    const progress = upload.progress !== undefined && upload.progress >= LEAST_PROGRESS ? upload.progress : undefined
    await this.#send(kafka, known.batch, body, {
      chunk,
      chunks: total,
      progress,
      ...taken,
      contentType: format === 'csv' ? 'text/csv' : 'application/x-ndjson',
      contentEncoding: encoding,
    })
    failpoint('sent-chunk')
    return { ...taken, stored: false }
  }

  /** The chunks that are stored, and how many there are to be. @throws Problem 404 */
  async list(id: string, dryRun: boolean): Promise<{ total: number | null; chunks: AsyncIterable<StoredChunk[]> }> {
    if (!BATCH_ID.test(id)) throw noBatch(id)
    const known = await findChunk(this.#parts.pool, id, dryRun, 0)
    if (!known) throw notSeenYet(id, `: PUT /batches/${id} opens it`)
    return { total: known.total, chunks: storedChunks(this.#parts.pool, known.batch.no) }
  }

  /**
   * Resolves when all of `chunks` chunks are stored, and tells workers that these are all where no chunk has. Never
   * before: a closing chunk must not contradict one that is still on its way.
   * @throws Problem, and the signal's reason
   */
  async complete(
    id: string,
    dryRun: boolean,
    chunks: number,
    wait: { ms: number; signal: AbortSignal; begins: () => void },
  ): Promise<Completed> {
    if (!BATCH_ID.test(id)) throw noBatch(id)
    const { pool } = this.#parts
    const until = performance.now() + wait.ms
    for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 1.5, LONGEST_PAUSE)) {
      const known = await countChunks(pool, id, dryRun, chunks)
      if (!known) throw notSeenYet(id, `: PUT /batches/${id} opens it`)
      const { batch, total } = known
      const standing = judgeChunks(known, chunks)
      if (standing === 'whole') return { chunks: total!, ended: batch.state !== 'open' }
      if (standing === 'untold') {
        await this.#close(batch, chunks)
        return { chunks: chunks + 1, ended: false }
      }
      const left = until - performance.now()
      if (left <= 0) throw chunksMissing(await missingChunks(pool, batch.no, chunks), chunks - known.stored)
      if (pause === FIRST_PAUSE) wait.begins()
      await pauseFor(Math.min(pause, left), wait.signal)
    }
  }

  /** One at a time, so that the memory of decompressing is that of one. */
  #check(content: ChunkContent): Promise<CheckedContent> {
    const checked = this.#checked.then(() => checkContent(content))
    this.#checked = checked.catch(() => undefined)
    return checked
  }

  /**
   * Sends a chunk without rows that tells the total. CSV does for batches of NDJSON, too: each chunk is of its own
   * format. Its bytes are the same each time, so that it may be sent again.
   */
  async #close(batch: OpenedBatch, chunks: number): Promise<void> {
    if (chunks >= MAX_CHUNKS) {
      const detail = `A batch has ${MAX_CHUNKS} chunks at most: send one of them again with the header chunks.`
      throw new Problem(409, detail, { extensions: { code: 'other_total', total: null } })
    }
    const body = Buffer.from(`${CSV_HEADER}\n`)
    await this.#send(await this.#parts.producer.acquire(), batch, body, {
      chunk: chunks,
      chunks: chunks + 1,
      rows: 0,
      sha256: sha256(body).toString('hex'),
      contentType: 'text/csv',
      contentEncoding: 'identity',
    })
  }

  /** By one record, as the wire wants it: its headers of the batch are those of the ledger. */
  async #send(
    kafka: Awaited<ReturnType<SharedProducer['acquire']>>,
    batch: OpenedBatch,
    value: Uint8Array,
    headers: Omit<ChunkHeaders, 'batch'>,
  ): Promise<void> {
    const { pool, topics } = this.#parts
    const small = headers.chunks !== undefined && headers.chunks <= FAST_LANE_CHUNKS
    const topic = await chooseLane(pool, batch, small ? topics.batches : topics.bulk)
    try {
      await kafka.send([{ topic, headers: writeChunkHeaders({ batch: headersOf(batch), ...headers }), value }])
    } catch (error) {
      throw error instanceof SendFailed ? kafkaAway() : error
    }
  }
}

const chunksMissing = (missing: number[], count: number): Problem =>
  new Problem(409, `${count} ${count === 1 ? 'chunk is' : 'chunks are'} not stored.`, {
    extensions: { code: 'chunks_missing', missing },
    headers: { 'retry-after': '1' },
  })

async function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal })
  } catch {
    throw signal.reason as Error
  }
}
