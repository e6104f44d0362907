import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import { MAX_CHUNK_BYTES, MAX_RATIO, RATIO_FROM_BYTES } from '@rates/core/limits'
import { type ContentEncoding } from '@rates/core/wire'

/** What the functions of node:zlib give when asked for `info`: how far they read is told by nothing else. */
interface Unpacked {
  buffer: Buffer
  engine: { bytesWritten: number }
}
type Unpack = (body: Uint8Array, options: zlib.ZlibOptions & zlib.ZstdOptions) => Promise<Unpacked>

const unpack = {
  gzip: promisify(zlib.gunzip) as unknown as Unpack,
  zstd: promisify(zlib.zstdDecompress) as unknown as Unpack,
}
const gzip = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.gzip)
const zstd = promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdCompress)

/** A window of 8 MB, as RFC 8878 wants it of every decoder: a frame may ask for gigabytes, and would be given them. */
export const ZSTD_OPTIONS: zlib.ZstdOptions = { params: { [zlib.constants.ZSTD_d_windowLogMax]: 23 } }

/** Each costs a decoder: a body of many empty ones would cost seconds. */
const MAX_FRAMES = 1000

/** A body that is not what its content-encoding says, or larger than it may be once decompressed. */
export class BadEncoding extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'BadEncoding'
  }
}

/** More came out than the caller allows. */
export class TooLarge extends Error {
  constructor(bytes: number, encoding: string, most: number) {
    super(`${bytes} bytes of ${encoding} become more than ${most}`)
    this.name = 'TooLarge'
  }
}

/**
 * Decompresses any number of gzip members or zstd frames, and nothing else: zlib by itself stops after a zstd frame
 * without a word of what follows it. It never makes more than `most` bytes. @throws BadEncoding, TooLarge
 */
export async function inflate(
  body: Uint8Array,
  encoding: 'gzip' | 'zstd',
  most: number,
  zstdOptions: zlib.ZstdOptions = {},
): Promise<Buffer> {
  const parts: Buffer[] = []
  let length = 0
  for (let at = 0; at < body.length;) {
    const maxOutputLength = Math.max(1, most - length) // 0 is no limit to zlib
    const options = { ...zstdOptions, maxOutputLength, info: true }
    const { buffer, engine } = await unpack[encoding](body.subarray(at), options).catch((error: unknown) => {
      const large = (error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE'
      throw large ? new TooLarge(body.length, encoding, most) : badEncoding(body, encoding, error)
    })
    parts.push(buffer)
    length += buffer.length
    at += engine.bytesWritten
    if (length > most) throw new TooLarge(body.length, encoding, most)
    if (parts.length > MAX_FRAMES)
      throw new BadEncoding(`it is of more than ${MAX_FRAMES} ${encoding} streams in a row`)
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}

/**
 * Decompresses a chunk's body. It stops at 8 MB, and at 200 times the bytes that came once there are 4 MB, so that a
 * small record cannot fill the memory. @throws BadEncoding
 */
export async function decompress(body: Uint8Array, encoding: ContentEncoding): Promise<Uint8Array> {
  if (encoding === 'identity') return refuseCompressed(body, encoding)
  const most = Math.min(MAX_CHUNK_BYTES, Math.max(RATIO_FROM_BYTES, body.length * MAX_RATIO))
  const inflated = await inflate(body, encoding, most, ZSTD_OPTIONS).catch((error: unknown) => {
    if (!(error instanceof TooLarge)) throw error
    const ratio = most < MAX_CHUNK_BYTES ? `; from ${RATIO_FROM_BYTES} on ${MAX_RATIO} times as many are the limit` : ''
    throw new BadEncoding(error.message + ratio, error)
  })
  return refuseCompressed(inflated, encoding)
}

/**
 * Why zlib could not read what begins with `head`: its own words leave out what was there instead.
 * @param taken bytes before those in which the fault is
 */
export function badEncoding(head: Uint8Array, encoding: 'gzip' | 'zstd', error: unknown, taken = 0): BadEncoding {
  const { code = '', message } = error as { code?: string; message: string }
  const first = Array.from(head.subarray(0, 4), (byte) => byte.toString(16).padStart(2, '0')).join(' ')
  const isAtEnd = code === 'Z_BUF_ERROR'
  const reason = isAtEnd
    ? 'it ends in the middle'
    : code === 'ZSTD_error_frameParameter_windowTooLarge'
      ? 'its window is larger than 8 MB (levels up to 19 need no more)'
      : code === 'ZSTD_error_dictionary_wrong'
        ? 'it needs a dictionary'
        : /checksum|data check|length check/.test(message)
          ? 'its checksum is wrong'
          : magicOf(head) === encoding
            ? `something in it, or after its end, is no ${encoding}`
            : `it begins with ${first}`
  const place = taken > 0 && !isAtEnd ? `after byte ${taken} ` : ''
  return new BadEncoding(`it is no whole ${encoding}: ${place}${reason}`, error)
}

/** No row begins like this: whoever compresses twice, or forgets the header, is told so instead of an odd bad row. */
export function refuseCompressed<T extends Uint8Array>(body: T, encoding: ContentEncoding): T {
  const magic = magicOf(body)
  if (magic === undefined) return body
  throw new BadEncoding(
    encoding === 'identity'
      ? `the body is ${magic}, and there is no content-encoding: ${magic}`
      : `what is left after ${encoding} is ${magic} still; a body is compressed once`,
  )
}

function magicOf(body: Uint8Array): 'gzip' | 'zstd' | undefined {
  if (body[0] === 0x1f && body[1] === 0x8b) return 'gzip'
  return body[0] === 0x28 && body[1] === 0xb5 && body[2] === 0x2f && body[3] === 0xfd ? 'zstd' : undefined
}

export async function compress(body: Uint8Array, encoding: ContentEncoding): Promise<Uint8Array> {
  if (encoding === 'identity') return body
  if (encoding === 'gzip') return gzip(body, { level: 1 })
  return zstd(body, { params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 } })
}

export const sha256 = (body: Uint8Array): Buffer => createHash('sha256').update(body).digest()
