import { describe, expect, it } from '@jest/globals'
import { TooLarge } from './compression.ts'
import { guarded } from './record-batch-guard.ts'

const none = { compress: () => Promise.resolve(Buffer.alloc(0)) }
const becomes = (bytes: number) => guarded({ ...none, decompress: () => Promise.resolve(Buffer.alloc(bytes)) })

/** The records of some record batches as kafkajs gives them: views of one response, each behind its head. */
function fetched(counts: number[]): Buffer[] {
  const response = Buffer.alloc(counts.length * 100)
  return counts.map((count, i) => {
    const head = response.subarray(i * 100, i * 100 + 61)
    head[16] = 2
    head.writeInt32BE(count, 57)
    return response.subarray(i * 100 + 61, (i + 1) * 100)
  })
}

describe('a guarded codec', () => {
  it('leaves what is too much for one fetch to the next, and is not stopped by a large record batch', async () => {
    const [first, second, third] = fetched([1, 1, 1])
    const codec = becomes(9 << 20)
    expect((await codec.decompress(first!)).length).toBe(9 << 20)
    expect((await codec.decompress(second!)).length).toBe(9 << 20) // 9 are less than 16
    // kafkajs goes by the name: it hands out what came before, and fetches from here again.
    await expect(codec.decompress(third!)).rejects.toMatchObject({ name: 'KafkaJSPartialMessageError' })
    const [again] = fetched([1])
    expect((await codec.decompress(again!)).length).toBe(9 << 20)
  })

  it('gives one record for each of a record batch that cannot be unpacked', async () => {
    const codec = guarded({ ...none, decompress: () => Promise.reject(new TooLarge(100, 'lz4', 5)) })
    const [packed] = fetched([300])
    const records = await codec.decompress(packed!)
    expect(records.toString('latin1').match(/100 bytes of lz4 become more than 5/g)).toHaveLength(300)
  })

  it('does not hide a fault of its own', async () => {
    const codec = guarded({ ...none, decompress: () => Promise.reject(new TypeError('a bug')) })
    await expect(codec.decompress(fetched([1])[0]!)).rejects.toThrow('a bug')
    const large = guarded({ ...none, decompress: () => Promise.reject(new TooLarge(100, 'lz4', 5)) })
    await expect(large.decompress(Buffer.alloc(200).subarray(61))).rejects.toThrow('behind their head')
  })
})
