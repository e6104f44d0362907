import { promisify } from 'node:util'
import zlib from 'node:zlib'
import lz4 from 'lz4-napi'
import snappy from 'snappy'

/** A codec of record batches as kafkajs takes it. */
export interface RecordCodec {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>
  decompress(buffer: Buffer): Promise<Buffer>
}

const zstdCompress = promisify<zlib.InputType, Buffer>(zlib.zstdCompress)
const zstdDecompress = promisify<zlib.InputType, Buffer>(zlib.zstdDecompress)

/** What Java's snappy wraps its blocks in: a magic of 8 bytes, two versions, then length and block, again and again. */
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])

async function unsnappy(buffer: Buffer): Promise<Buffer> {
  if (!buffer.subarray(0, XERIAL.length).equals(XERIAL)) return (await snappy.uncompress(buffer)) as Buffer
  const blocks: Buffer[] = []
  for (let at = 16; at < buffer.length;) {
    const length = buffer.readInt32BE(at)
    at += 4
    blocks.push((await snappy.uncompress(buffer.subarray(at, at + length))) as Buffer)
    at += length
  }
  return Buffer.concat(blocks)
}

/** kafkajs knows gzip alone: a record compressed otherwise would stop its partition. */
export const codecs: Record<'snappy' | 'lz4' | 'zstd', RecordCodec> = {
  snappy: { compress: ({ buffer }) => snappy.compress(buffer), decompress: unsnappy },
  lz4: { compress: ({ buffer }) => lz4.compressFrame(buffer), decompress: (buffer) => lz4.decompressFrame(buffer) },
  zstd: { compress: ({ buffer }) => zstdCompress(buffer), decompress: (buffer) => zstdDecompress(buffer) },
}
