import { promisify } from 'node:util'
import zlib from 'node:zlib'
import lz4 from 'lz4-napi'
import snappy from 'snappy'
import { BadEncoding, inflate, TooLarge } from './compression.ts'
import { lz4Size } from './lz4-size.ts'

/** A codec of record batches as kafkajs takes it. */
export interface RecordCodec {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>
  decompress(buffer: Buffer): Promise<Buffer>
}

/** Bytes of a record batch once decompressed: 1 MB of zeros may become 30 GB. No sender of chunks comes near it. */
export const MAX_BATCH_BYTES = 16 << 20

const gzip = promisify<zlib.InputType, Buffer>(zlib.gzip)
const zstd = promisify<zlib.InputType, Buffer>(zlib.zstdCompress)

/** What Java's snappy wraps its blocks in: a magic of 8 bytes, two versions, then length and block, again and again. */
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])

function snappyBlocks(buffer: Buffer): Buffer[] {
  if (!buffer.subarray(0, XERIAL.length).equals(XERIAL)) return [buffer]
  const blocks: Buffer[] = []
  for (let at = 16; at < buffer.length;) {
    const length = buffer.readInt32BE(at)
    if (length < 1) throw new BadEncoding('a block of snappy has no length')
    blocks.push(buffer.subarray(at + 4, at + 4 + length))
    at += 4 + length
  }
  return blocks
}

/** A block of snappy begins with the length of what it becomes, as a varint. */
function snappySize(block: Buffer): number {
  let size = 0
  for (let i = 0; i < Math.min(5, block.length); i++) {
    size += (block[i]! & 127) * 2 ** (7 * i)
    if (block[i]! < 128) break
  }
  return size
}

async function unsnappy(buffer: Buffer): Promise<Buffer> {
  const blocks = snappyBlocks(buffer)
  limit(
    buffer,
    'snappy',
    blocks.reduce((sum, block) => sum + snappySize(block), 0),
  )
  const parts: Buffer[] = []
  for (const block of blocks) parts.push((await snappy.uncompress(block)) as Buffer)
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}

async function unlz4(buffer: Buffer): Promise<Buffer> {
  const size = lz4Size(buffer)
  if (Number.isNaN(size)) throw new BadEncoding('it is no whole lz4')
  limit(buffer, 'lz4', size)
  return lz4.decompressFrame(buffer)
}

function limit(buffer: Buffer, codec: string, size: number): void {
  if (size > MAX_BATCH_BYTES) throw new TooLarge(buffer.length, codec, MAX_BATCH_BYTES)
}

/** What kafkajs lacks, and gzip, to which it sets no limit: a record that it cannot read would stop its partition. */
export const codecs: Record<'gzip' | 'snappy' | 'lz4' | 'zstd', RecordCodec> = {
  gzip: {
    compress: ({ buffer }) => gzip(buffer),
    decompress: (buffer) => inflate(buffer, 'gzip', MAX_BATCH_BYTES),
  },
  snappy: { compress: ({ buffer }) => snappy.compress(buffer), decompress: unsnappy },
  lz4: { compress: ({ buffer }) => lz4.compressFrame(buffer), decompress: unlz4 },
  zstd: {
    compress: ({ buffer }) => zstd(buffer),
    decompress: (buffer) => inflate(buffer, 'zstd', MAX_BATCH_BYTES),
  },
}
