import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { type DumpSource } from './dump-file.ts'
import { DumpRefused } from './dump-refused.ts'

const READ_BYTES = 256 * 1024
/** pg_dump breaks rows into lines; a longer one is no row of this schema, and would have to be held in memory. */
const MAX_LINE_BYTES = 16 * 1024 * 1024
const LF = 0x0a

/** The start of files that people take for a plain dump, and what to do with each. */
const NOT_PLAIN: [magic: Buffer, reason: string][] = [
  [
    Buffer.from('PGDMP'),
    'this is a dump in the custom format; make it plain with pg_restore --file=plain.sql FILE, or dump with --format=plain',
  ],
  [Buffer.from('toc.dat'), 'this is a dump in the tar format; make it plain with pg_restore --file=plain.sql FILE'],
  [Buffer.from([0xff, 0xfe]), 'this file is in UTF-16 (a shell redirected it); dump with pg_dump --file=FILE instead'],
  [Buffer.from([0xfe, 0xff]), 'this file is in UTF-16 (a shell redirected it); dump with pg_dump --file=FILE instead'],
  [Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), 'this file is compressed with zstd; only gzip is read: decompress it first'],
  [Buffer.from([0x04, 0x22, 0x4d, 0x18]), 'this file is compressed with lz4; only gzip is read: decompress it first'],
  [Buffer.from('PK\x03\x04'), 'this is a zip archive; unpack it first'],
]

/**
 * A dump's text, decompressed if it starts as gzip does, in blocks of whole lines (only the last may lack its line
 * end). Blocks are not used again by the source.
 * @param onBytes called with the bytes of the dump (as it lies on disk) read so far
 * @throws DumpRefused for a damaged gzip file or something that is no text; else the source's error
 */
export async function* readBlocks(source: DumpSource, onBytes?: (bytes: number) => void): AsyncGenerator<Buffer> {
  const pieces = source.read()[Symbol.asyncIterator]()
  let bytesRead = 0
  const all = async function* (first: Buffer): AsyncGenerator<Buffer> {
    for (let piece: Buffer | undefined = first; piece !== undefined; piece = await nextOf(pieces)) {
      bytesRead += piece.length
      yield piece
    }
  }
  let carried: Buffer[] = []
  let carriedBytes = 0
  try {
    const first = await firstOf(pieces)
    const raw = all(first)
    // The callback is there because pipeline wants one; the error itself reaches the loop below through the stream.
    const text = isGzip(first)
      ? pipeline(Readable.from(raw), createGunzip({ chunkSize: READ_BYTES }), () => undefined)
      : raw
    for await (const chunk of text as AsyncIterable<Buffer>) {
      onBytes?.(bytesRead)
      const end = chunk.lastIndexOf(LF) + 1
      if (end > 0) {
        yield carried.length === 0 ? chunk.subarray(0, end) : Buffer.concat([...carried, chunk.subarray(0, end)])
        carried = []
        carriedBytes = 0
      }
      if (end < chunk.length) {
        carried.push(chunk.subarray(end))
        carriedBytes += chunk.length - end
        if (carriedBytes > MAX_LINE_BYTES) throw new DumpRefused(null, 'a line is longer than 16 MB: foreign dump')
      }
    }
  } catch (error) {
    throw explainGzip(error)
  } finally {
    await pieces.return?.()
  }
  if (carriedBytes > 0) yield Buffer.concat(carried)
}

async function nextOf(pieces: AsyncIterator<Buffer>): Promise<Buffer | undefined> {
  const next = await pieces.next()
  return next.done ? undefined : next.value
}

/** Enough to see what it is, or all that there is. */
async function firstOf(pieces: AsyncIterator<Buffer>): Promise<Buffer> {
  let first: Buffer = Buffer.alloc(0)
  while (first.length < 16) {
    const piece = await nextOf(pieces)
    if (piece === undefined) break
    first = first.length === 0 ? piece : Buffer.concat([first, piece])
  }
  return first
}

function isGzip(start: Buffer): boolean {
  for (const [magic, reason] of NOT_PLAIN) {
    if (start.subarray(0, magic.length).equals(magic)) throw new DumpRefused(null, reason)
  }
  return start[0] === 0x1f && start[1] === 0x8b
}

function explainGzip(error: unknown): unknown {
  const code = (error as { code?: unknown }).code
  if (code === 'Z_BUF_ERROR') return new DumpRefused(null, 'the gzip file ends early: it was cut off')
  if (code === 'Z_DATA_ERROR') return new DumpRefused(null, `the gzip file is damaged: ${(error as Error).message}`)
  return error
}
