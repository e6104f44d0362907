import { describe, expect, it } from '@jest/globals'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import zlib from 'node:zlib'
import fc from 'fast-check'
import lz4 from 'lz4-napi'
import snappy from 'snappy'
import { codecs, MAX_BATCH_BYTES } from './kafka-codecs.ts'
import { lz4Size } from './lz4-size.ts'

const text = Buffer.from('CNGGZ,NLRTM,2021-01-31,1154\n'.repeat(4_000))

describe('record codecs', () => {
  it.each(Object.entries(codecs))('%s gives back what it took', async (_, codec) => {
    const packed = await codec.compress({ buffer: text })
    expect(packed.length).toBeLessThan(text.length / 4)
    expect((await codec.decompress(packed)).equals(text)).toBe(true)
  })

  it('reads snappy as the Java client frames it, in blocks', async () => {
    const head = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
    const parts: Buffer[] = [head]
    for (let at = 0; at < text.length; at += 32_768) {
      const block = Buffer.from(await snappy.compress(text.subarray(at, at + 32_768)))
      const length = Buffer.alloc(4)
      length.writeInt32BE(block.length)
      parts.push(length, block)
    }
    expect((await codecs.snappy.decompress(Buffer.concat(parts))).equals(text)).toBe(true)
  })

  it.each(Object.entries(codecs))('%s refuses what it did not make', async (_, codec) => {
    await expect(codec.decompress(Buffer.from('this is no compressed text at all'))).rejects.toThrow()
  })

  // As large as may be, and a byte more; of bytes that every codec shrinks.
  it.each(Object.entries(codecs))('%s gives 16 MiB and no more', async (_, codec) => {
    const most = Buffer.alloc(MAX_BATCH_BYTES, text)
    expect((await codec.decompress(await codec.compress({ buffer: most }))).equals(most)).toBe(true)
    const more = await codec.compress({ buffer: Buffer.concat([most, Buffer.of(1)]) })
    await expect(codec.decompress(more)).rejects.toMatchObject({ name: 'TooLarge' })
  })

  it('takes no memory to refuse a bomb', async () => {
    // 256 MiB of zeros, which are never there at once: an LZ4 frame of 64 equal blocks, Java's snappy in 4 blocks.
    const zeros = (): Readable => Readable.from(new Array<Buffer>(256).fill(Buffer.alloc(1 << 20)))
    const frame = await lz4.compressFrame(Buffer.alloc(4 << 20))
    const [head, blocks] = [frame.subarray(0, 7), frame.subarray(7, frame.length - 4)]
    const block = Buffer.from(await snappy.compress(Buffer.alloc(64 << 20)))
    const length = Buffer.alloc(4)
    length.writeInt32BE(block.length)
    const xerial = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
    const bombs = {
      gzip: await buffer(zeros().pipe(zlib.createGzip())),
      zstd: await buffer(zeros().pipe(zlib.createZstdCompress())),
      lz4: Buffer.concat([head, ...new Array<Buffer>(64).fill(blocks), Buffer.alloc(4)]),
      snappy: Buffer.concat([xerial, ...new Array<Buffer[]>(4).fill([length, block]).flat()]),
    }
    expect(lz4Size(bombs.lz4)).toBe(256 << 20)
    const before = process.memoryUsage().rss
    for (const [name, bomb] of Object.entries(bombs)) {
      await expect(codecs[name as keyof typeof codecs].decompress(bomb)).rejects.toMatchObject({ name: 'TooLarge' })
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(60 << 20)
  })
})

describe('the size of LZ4 frames', () => {
  it('is what their decoder makes of them', () => {
    const part = fc.oneof(
      fc.uint8Array({ maxLength: 50 }),
      fc.uint8Array({ minLength: 1, maxLength: 3 }).map((few) => {
        return new Uint8Array(few.length * 400).map((_, i) => few[i % few.length]!)
      }),
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        const body = Buffer.concat(parts)
        expect(lz4Size(lz4.compressFrameSync(body))).toBe(body.length)
      }),
    )
    const large = Buffer.alloc(9 << 20, text)
    expect(lz4Size(lz4.compressFrameSync(large))).toBe(large.length)
  })

  it('is none where they are cut, or are something else', () => {
    const frame = lz4.compressFrameSync(text)
    for (const cut of [1, 5, 8, frame.length - 1]) expect(lz4Size(frame.subarray(0, cut))).toBeNaN()
    expect(lz4Size(text)).toBeNaN()
  })
})
