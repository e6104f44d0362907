import { describe, expect, it } from '@jest/globals'
import snappy from 'snappy'
import { codecs } from './kafka-codecs.ts'

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
})
