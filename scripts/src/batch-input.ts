import { open, type FileHandle } from 'node:fs/promises'
import { addAbortSignal, pipeline, Readable, type Duplex } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { type BodyFormat } from '@rates/core/chunk-cutter'
import { CommandFailure, EXIT } from './exit.ts'

const PIECE = 256 << 10

/** A file or standard input, opened to be read once. */
export interface BatchInput {
  /** For messages. */
  name: string
  format: BodyFormat
  /** Bytes of the file; undefined where the input is none. */
  size: number | undefined
  /** Bytes read so far; of a compressed file, as they stand there. */
  bytesRead(): number
  pieces: AsyncIterable<Uint8Array>
  /** Ends the input, wherever it is. */
  close(): void
}

/**
 * Opens a file, or standard input for `-`. What gzip or zstd has packed is unpacked. The format is told by the file's
 * name, else by the first byte that is no space. @throws CommandFailure; an abort ends the pieces with an error
 */
export async function openInput(
  file: string,
  wanted: BodyFormat | undefined,
  signal: AbortSignal,
): Promise<BatchInput> {
  const { name, raw, size } = file === '-' ? standardInput() : await openFile(file)
  addAbortSignal(signal, raw)
  let read = 0
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const piece of raw as AsyncIterable<Buffer>) {
      read += piece.length
      yield piece
    }
  }
  const close = (): void => void raw.destroy()
  try {
    const packed = await peek(counted())
    const plain = await peek(unpack(packed))
    const format = wanted ?? formatOf(file, plain.head)
    if (format === 'ndjson' && wanted === undefined) refuseDocument(name, plain.head)
    return { name, format, size, bytesRead: () => read, pieces: plain.pieces, close }
  } catch (error) {
    close()
    signal.throwIfAborted()
    throw explainInput(error, name)
  }
}

function standardInput(): { name: string; raw: Readable; size: undefined } {
  if (process.stdin.isTTY) console.error('Reading prices from the terminal; Ctrl-D ends them.')
  return { name: 'standard input', raw: process.stdin, size: undefined }
}

async function openFile(file: string): Promise<{ name: string; raw: Readable; size: number | undefined }> {
  let handle: FileHandle | undefined
  try {
    handle = await open(file)
    const stat = await handle.stat()
    if (stat.isDirectory()) throw new CommandFailure(EXIT.usage, `${file} is a folder.`)
    const raw = handle.createReadStream({ highWaterMark: PIECE })
    return { name: file, raw, size: stat.isFile() ? stat.size : undefined }
  } catch (error) {
    await handle?.close()
    throw explainInput(error, file)
  }
}

/** The faults of reading, for the person. Others come back as they are. */
export function explainInput(error: unknown, name: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException
  const failure = (exit: number, text: string): CommandFailure => new CommandFailure(exit, text, error)
  if (code === 'ENOENT') return failure(EXIT.usage, `There is no file ${name}.`)
  if (code === 'EACCES' || code === 'EPERM') return failure(EXIT.usage, `${name} may not be read.`)
  if (code === 'EIO' || code === 'EISDIR') return failure(EXIT.usage, `${name} cannot be read: ${message}.`)
  if (code !== undefined && /^(Z|ZSTD)_/i.test(code)) return failure(EXIT.refused, `${name} is damaged: ${message}.`)
  return error
}

interface Peeked {
  /** The first piece: empty for an empty input. */
  head: Buffer
  /** All pieces, the first one again. */
  pieces: AsyncIterable<Buffer>
}

async function peek(pieces: AsyncIterable<Buffer>): Promise<Peeked> {
  const iterator = pieces[Symbol.asyncIterator]()
  let first: Buffer = Buffer.alloc(0)
  // A pipe may bring less than the few bytes that tell what it is.
  while (first.length < 64) {
    const next = await iterator.next()
    if (next.done) break
    first = first.length === 0 ? next.value : Buffer.concat([first, next.value])
  }
  const all = async function* (): AsyncGenerator<Buffer> {
    yield first
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value
  }
  return { head: first, pieces: all() }
}

function unpack({ head, pieces }: Peeked): AsyncIterable<Buffer> {
  // A fault comes out of the pieces: the callback has nothing to add.
  const through = (unpacker: Duplex): AsyncIterable<Buffer> =>
    pipeline(Readable.from(pieces), unpacker, () => undefined)
  if (head[0] === 0x1f && head[1] === 0x8b) return through(createGunzip())
  if (head.length >= 4 && head.readUInt32LE() === 0xfd2fb528) return through(createZstdDecompress())
  return pieces
}

function formatOf(file: string, head: Uint8Array): BodyFormat {
  const extension = /\.(csv|ndjson|jsonl)(\.gz|\.zst)?$/i.exec(file)?.[1]?.toLowerCase()
  if (extension !== undefined) return extension === 'csv' ? 'csv' : 'ndjson'
  const text = Buffer.from(head)
    .toString('utf8')
    .replace(/^\ufeff/, '')
  return /^\s*[{[]/.test(text) ? 'ndjson' : 'csv'
}

/** A JSON document is a batch of its own on the wire, but no file of rows. */
function refuseDocument(name: string, head: Uint8Array): void {
  const text = Buffer.from(head)
    .toString('utf8')
    .replace(/^\ufeff/, '')
  const isList = /^\s*\[/.test(text)
  if (!isList && !/^\s*\{\s*"prices"\s*:/.test(text)) return
  const path = isList ? '.[]' : '.prices[]'
  throw new CommandFailure(
    EXIT.usage,
    `${name} is one JSON document; rows are wanted, an object on each line: jq -c '${path}' ${name === 'standard input' ? '' : `${name} `}| rates produce -`,
  )
}
