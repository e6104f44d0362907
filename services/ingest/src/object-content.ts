import { type BodyFormat } from '@rates/core/chunk-cutter'
import { BadEncoding, refuseCompressed } from '@rates/service/compression'
import { EmptyBatch } from '@rates/service/cut-batch'
import { decompressStream } from '@rates/service/decompress-stream'
import { type ObjectPlace, type ObjectStore, type ObjectVersion, type PinnedVersion } from '@rates/service/object-store'
import { createHash } from 'node:crypto'

export type Encoding = 'identity' | 'gzip' | 'zstd'

/** How the bytes of an object become rows. */
export interface Reading {
  format: BodyFormat
  encoding: Encoding
}

/** No sender's patience helps: the object is what it is. */
export class ObjectUnreadable extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'ObjectUnreadable'
  }
}

/** It is another one by now than the one that was asked for. */
export class OtherObject extends Error {
  constructor(asked: string, found: string) {
    super(`its ETag is ${found} now, and the one that was asked for had ${asked}`)
    this.name = 'OtherObject'
  }
}

/** No object can have this key, or this version id: its store does not take it. */
export class UnusableName extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause })
    this.name = 'UnusableName'
  }
}

/** Its bytes are not those of the claim's digest. */
export class ObjectMismatch extends Error {
  constructor(said: string, found: string) {
    super(`its bytes have sha256 ${found}, and the claim says ${said}`)
    this.name = 'ObjectMismatch'
  }
}

const FORMATS: Readonly<Record<string, BodyFormat>> = {
  'text/csv': 'csv',
  'application/csv': 'csv',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'application/x-jsonlines': 'ndjson',
}
const ENCODINGS: Readonly<Record<string, Encoding>> = {
  identity: 'identity',
  gzip: 'gzip',
  'x-gzip': 'gzip',
  zstd: 'zstd',
}
/** Types that say how an object is compressed, and nothing of what is in it. */
const PACKED: Readonly<Record<string, Encoding>> = {
  'application/gzip': 'gzip',
  'application/x-gzip': 'gzip',
  'application/zstd': 'zstd',
}
const ENDING = /(?:\.(csv|ndjson|jsonl))?(?:\.(gz|zst))?$/i

/**
 * By what the claim says, else by what the object says of itself, else by the ending of its key. Types that stores give
 * to what has none, as application/octet-stream, say nothing. @throws ObjectUnreadable
 */
export function howToRead(
  claim: { contentType: string | null; contentEncoding: string | null },
  object: Pick<ObjectVersion, 'contentType' | 'contentEncoding'>,
  key: string,
): Reading {
  const [, type, packed] = ENDING.exec(key)!
  const own = object.contentType?.split(';')[0]!.trim().toLowerCase()
  const format =
    FORMATS[claim.contentType ?? ''] ?? FORMATS[own ?? ''] ?? (type && (/csv/i.test(type) ? 'csv' : 'ndjson'))
  if (!format) {
    throw new ObjectUnreadable(
      `its format is not known: its content type ${own === undefined ? 'is not set' : `is ${JSON.stringify(own)}`}, ` +
        'and its key ends in none of .csv, .ndjson, .jsonl (with .gz or .zst behind it); ' +
        'set the content type to text/csv or application/x-ndjson, or say it in the claim (contentType)',
    )
  }
  const ending = packed && (/gz/i.test(packed) ? 'gzip' : 'zstd')
  const said = claim.contentEncoding ?? object.contentEncoding?.trim().toLowerCase()
  if (said && !ENCODINGS[said]) {
    throw new ObjectUnreadable(`its content encoding is ${JSON.stringify(said)}; it may be gzip, zstd or identity`)
  }
  return { format, encoding: (said && ENCODINGS[said]) || PACKED[own ?? ''] || ending || 'identity' }
}

export interface ContentOptions {
  encoding: Encoding
  /** Of the object's bytes, if anybody told. */
  sha256?: Buffer | null
  signal: AbortSignal
  /** Called with the number of bytes of each piece that was read. */
  onBytes?: (count: number) => void
}

/**
 * What is in an object at a version, decompressed, as it comes, in constant memory. It ends well only if the whole object
 * was what it is said to be: whoever holds its last part back until then shows nothing of one that was not.
 * @throws ObjectUnreadable, ObjectMismatch, EmptyBatch, the store's faults, the signal's reason
 */
export async function* objectContent(
  store: Pick<ObjectStore, 'read'>,
  place: ObjectPlace,
  version: PinnedVersion,
  { encoding, sha256, signal, onBytes }: ContentOptions,
): AsyncGenerator<Uint8Array> {
  const { size } = version
  if (size === 0) throw new EmptyBatch()
  const hash = sha256 ? createHash('sha256') : undefined
  let before = 0
  let read = 0
  const bytes = async function* (): AsyncGenerator<Uint8Array> {
    for await (const piece of store.read(place, version, { signal })) {
      before = read
      read += piece.length
      hash?.update(piece)
      onBytes?.(piece.length)
      yield piece
    }
  }
  try {
    let isFirst = true
    for await (const piece of encoding === 'identity' ? bytes() : decompressStream(bytes(), encoding)) {
      yield isFirst ? refuseCompressed(piece, encoding) : piece
      isFirst = false
    }
  } catch (error) {
    if (!(error instanceof BadEncoding)) throw error
    const place =
      read === size ? `at its end, behind byte ${before} of ${size}` : `in its bytes ${before} to ${read} of ${size}`
    throw new ObjectUnreadable(`${error.message} (${place})`, error)
  }
  if (!hash || !sha256) return
  const found = hash.digest()
  if (!found.equals(sha256)) throw new ObjectMismatch(sha256.toString('hex'), found.toString('hex'))
}
