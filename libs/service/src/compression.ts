import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import { MAX_CHUNK_BYTES } from '@rates/core/limits'
import { type ContentEncoding } from '@rates/core/wire'

const gunzip = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.gunzip)
const gzip = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.gzip)
const unzstd = promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress)
const zstd = promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdCompress)

/** A body that is not what its content-encoding says, or larger than a chunk may be once decompressed. */
export class BadEncoding extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'BadEncoding'
  }
}

/** Decompresses a body, 8 MB at most, so that a small record cannot fill the memory. @throws BadEncoding */
export async function decompress(body: Uint8Array, encoding: ContentEncoding): Promise<Uint8Array> {
  if (encoding === 'identity') return body
  try {
    const options = { maxOutputLength: MAX_CHUNK_BYTES }
    return encoding === 'gzip' ? await gunzip(body, options) : await unzstd(body, options)
  } catch (error) {
    const large = (error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE'
    throw new BadEncoding(large ? `more than ${MAX_CHUNK_BYTES} bytes once decompressed` : `not ${encoding}`, error)
  }
}

export async function compress(body: Uint8Array, encoding: ContentEncoding): Promise<Uint8Array> {
  if (encoding === 'identity') return body
  if (encoding === 'gzip') return gzip(body, { level: 1 })
  return zstd(body, { params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 } })
}

export const sha256 = (body: Uint8Array): Buffer => createHash('sha256').update(body).digest()
