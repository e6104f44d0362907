import { ChunkCutter, type BodyFormat, type Chunk } from '@rates/core/chunk-cutter'
import { FAST_LANE_CHUNKS, MAX_CHUNK_BYTES, MAX_CHUNKS, MAX_CHUNK_WIRE_BYTES } from '@rates/core/limits'
import { writeBatchHeaders, writeChunkHeaders, type BatchHeaders, type ContentEncoding } from '@rates/core/wire'
import { compress, sha256 } from './compression.ts'
import { type OutgoingRecord, type Producer } from './kafka.ts'
import { type TopicNames } from './topics.ts'

export type { BodyFormat } from '@rates/core/chunk-cutter'
export type { BatchHeaders } from '@rates/core/wire'

/** Headers take a part of a record's bytes. */
const MAX_BODY_BYTES = MAX_CHUNK_WIRE_BYTES - 20_000
/** Compressed chunks may hold more text: price lists shrink to a fifth and less. */
const MAX_COMPRESSIBLE_BYTES = 4_000_000

export interface SentBatch {
  chunks: number
  rows: number
  /** Of the bodies as sent. */
  bytes: number
  /** The topic they went to. */
  lane: string
}

/** There is no row in the input: nothing was sent. */
export class EmptyBatch extends Error {
  constructor() {
    super('there are no rows in it')
    this.name = 'EmptyBatch'
  }
}

/** A batch has more chunks than a batch may. */
export class TooManyChunks extends Error {
  constructor() {
    super(`more than ${MAX_CHUNKS} chunks`)
    this.name = 'TooManyChunks'
  }
}

export interface ProduceOptions {
  encoding?: ContentEncoding
  /** How much of the input was read, up to 1, if its size is known: workers tell by it when the batch will be done. */
  progress?: () => number | undefined
  /** Called with the totals so far when chunks are acknowledged. */
  onChunk?: (sent: { chunks: number; rows: number; bytes: number }) => void
  /** Called with each chunk's body before it is compressed and sent. */
  onBody?: (chunk: Chunk) => void
  signal?: AbortSignal
}

/**
 * Cuts a batch into chunks and sends them, in constant memory; resolves when the last is acknowledged. A batch of up to
 * four chunks goes by the first lane, with its total on every record; a larger one by the bulk lane, with its total on
 * the last. @throws EmptyBatch, RowTooLong, TooManyChunks, the signal's reason
 */
export async function produceBatch(
  producer: Producer,
  topics: Pick<TopicNames, 'batches' | 'bulk'>,
  input: AsyncIterable<Uint8Array>,
  format: BodyFormat,
  batch: BatchHeaders,
  options: ProduceOptions = {},
): Promise<SentBatch> {
  const { encoding = 'identity', onChunk, onBody, signal } = options
  const maxBytes = encoding === 'identity' ? MAX_BODY_BYTES : MAX_COMPRESSIBLE_BYTES
  const cutter = new ChunkCutter(format, { maxBytes: Math.min(maxBytes, MAX_CHUNK_BYTES) })
  const contentType = format === 'csv' ? 'text/csv' : 'application/x-ndjson'
  const sent: SentBatch = { chunks: 0, rows: 0, bytes: 0, lane: topics.batches }
  const held: { chunk: Chunk; progress: number | undefined }[] = []
  let bulk = false

  const record = async ({ chunk, progress }: (typeof held)[0], chunks: number | undefined): Promise<OutgoingRecord> => {
    onBody?.(chunk)
    const body = await compress(chunk.body, encoding)
    if (body.length > MAX_CHUNK_WIRE_BYTES) throw new Error(`chunk ${chunk.index} has ${body.length} bytes compressed`)
    const headers = writeChunkHeaders({
      batch,
      chunk: chunk.index,
      chunks,
      progress: chunks === undefined ? progress : undefined,
      rows: chunk.rows,
      sha256: sha256(body).toString('hex'),
      contentType,
      contentEncoding: encoding,
    })
    return { topic: bulk ? topics.bulk : topics.batches, headers, value: body }
  }
  /** One record at a time: two of them on one partition would be one record batch, larger than a broker takes. */
  const send = async (next: (typeof held)[0], total: number | undefined): Promise<void> => {
    const outgoing = await record(next, total)
    signal?.throwIfAborted()
    await producer.send([outgoing])
    sent.chunks++
    sent.rows += next.chunk.rows
    sent.bytes += outgoing.value!.length
    onChunk?.(sent)
  }
  const take = async (chunk: Chunk): Promise<void> => {
    if (chunk.index >= MAX_CHUNKS) throw new TooManyChunks()
    const part = options.progress?.()
    // No part at all is no estimate; and a file may grow.
    held.push({ chunk, progress: part !== undefined && part > 1e-6 ? Math.min(part, 1) : undefined })
    bulk ||= held.length > FAST_LANE_CHUNKS
    // One chunk is always held back: the last one carries the total.
    while (bulk && held.length > 1) await send(held.shift()!, undefined)
  }

  for await (const piece of input) {
    signal?.throwIfAborted()
    for (const chunk of cutter.push(piece)) await take(chunk)
  }
  for (const chunk of cutter.finish()) await take(chunk)
  const last = held.at(-1)
  if (!last) throw new EmptyBatch()
  for (const each of held) await send(each, last.chunk.index + 1)
  sent.lane = bulk ? topics.bulk : topics.batches
  return sent
}

/** Ends a batch that is not finished, also before its first chunk is read. `batch` are the headers of its chunks. */
export async function cancelBatch(
  producer: Producer,
  topics: Pick<TopicNames, 'batches'>,
  batch: BatchHeaders,
): Promise<void> {
  const headers = { ...writeBatchHeaders(batch), control: 'cancel' }
  await producer.send([{ topic: topics.batches, headers, value: null }])
}

/** Asks for a batch that succeeded to be hidden; the answer is a reply of its own. */
export async function requestRevert(
  producer: Producer,
  topics: Pick<TopicNames, 'batches'>,
  request: Pick<BatchHeaders, 'batchId' | 'replyTo' | 'correlationId' | 'dryRun' | 'traceparent'>,
): Promise<void> {
  const headers = { ...writeBatchHeaders(request), control: 'revert' }
  await producer.send([{ topic: topics.batches, headers, value: null }])
}
