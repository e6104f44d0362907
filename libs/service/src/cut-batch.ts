import { ChunkCutter, type BodyFormat, type Chunk } from '@rates/core/chunk-cutter'
import { FAST_LANE_CHUNKS, MAX_CHUNK_BYTES, MAX_CHUNKS, MAX_CHUNK_WIRE_BYTES } from '@rates/core/limits'
import { type BatchHeaders, type ChunkHeaders, type ContentEncoding } from '@rates/core/wire'
import { compress, sha256 } from './compression.ts'

/** Headers take a part of a record's bytes. */
const MAX_BODY_BYTES = MAX_CHUNK_WIRE_BYTES - 20_000
/** Compressed chunks may hold more text: price lists shrink to a fifth and less. */
const MAX_COMPRESSIBLE_BYTES = 4_000_000

/** A chunk as it goes over the wire. */
export interface CutChunk {
  headers: ChunkHeaders & { rows: number; sha256: string }
  body: Uint8Array
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

export interface CutOptions {
  encoding?: ContentEncoding
  /** How much of the input was read, up to 1, if its size is known: workers tell by it when the batch will be done. */
  progress?: () => number | undefined
  /** Called with each chunk's body before it is compressed. */
  onBody?: (chunk: Chunk) => void
  signal?: AbortSignal
}

/**
 * Cuts a batch into the chunks of the wire, in constant memory; the same input gives the same chunks. Of a batch that
 * fits the first lane every chunk tells the total, of a larger one the last. @throws EmptyBatch, RowTooLong,
 * TooManyChunks, the signal's reason
 */
export async function* cutBatch(
  input: AsyncIterable<Uint8Array>,
  format: BodyFormat,
  batch: BatchHeaders,
  options: CutOptions = {},
): AsyncGenerator<CutChunk> {
  const { encoding = 'identity', onBody, signal } = options
  const maxBytes = encoding === 'identity' ? MAX_BODY_BYTES : MAX_COMPRESSIBLE_BYTES
  const cutter = new ChunkCutter(format, { maxBytes: Math.min(maxBytes, MAX_CHUNK_BYTES) })
  const contentType = format === 'csv' ? 'text/csv' : 'application/x-ndjson'
  const held: { chunk: Chunk; progress: number | undefined }[] = []
  let large = false

  const finish = async ({ chunk, progress }: (typeof held)[0], chunks: number | undefined): Promise<CutChunk> => {
    onBody?.(chunk)
    const body = await compress(chunk.body, encoding)
    if (body.length > MAX_CHUNK_WIRE_BYTES) throw new Error(`chunk ${chunk.index} has ${body.length} bytes compressed`)
    signal?.throwIfAborted()
    const headers = {
      batch,
      chunk: chunk.index,
      chunks,
      progress: chunks === undefined ? progress : undefined,
      rows: chunk.rows,
      sha256: sha256(body).toString('hex'),
      contentType,
      contentEncoding: encoding,
    } as const
    return { headers, body }
  }
  const take = async function* (chunk: Chunk): AsyncGenerator<CutChunk> {
    if (chunk.index >= MAX_CHUNKS) throw new TooManyChunks()
    const part = options.progress?.()
    // No part at all is no estimate; and a file may grow.
    held.push({ chunk, progress: part !== undefined && part > 1e-6 ? Math.min(part, 1) : undefined })
    large ||= held.length > FAST_LANE_CHUNKS
    // One chunk is always held back: the last one carries the total.
    while (large && held.length > 1) yield await finish(held.shift()!, undefined)
  }

  for await (const piece of input) {
    signal?.throwIfAborted()
    for (const chunk of cutter.push(piece)) yield* take(chunk)
  }
  for (const chunk of cutter.finish()) yield* take(chunk)
  const last = held.at(-1)
  if (!last) throw new EmptyBatch()
  for (const each of held) yield await finish(each, last.chunk.index + 1)
}
