import { describe, expect, it } from '@jest/globals'
import { TooLarge } from './compression.ts'
import { fewRecords, guarded, MAX_BATCH_RECORDS, UNREADABLE } from './record-batch-guard.ts'

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

describe('the number of records', () => {
  const cut = (counts: number[]): Buffer[] => {
    const response = Buffer.alloc(counts.length * 100)
    return counts.map((count, i) => {
      const batch = response.subarray(i * 100, i * 100 + 100)
      batch[16] = 2
      batch.writeInt16BE(0b1011, 21) // LZ4, and the broker's clock
      batch.writeInt32BE(count + 4, 23)
      batch.writeInt32BE(count, 57)
      return batch.subarray(12)
    })
  }

  it('of a record batch: more are one, at the place of the last, that is not compressed and tells why', () => {
    const [most] = cut([MAX_BATCH_RECORDS])
    expect(fewRecords(most!)).toBe(most)
    const [more] = cut([MAX_BATCH_RECORDS + 1])
    const instead = fewRecords(more!)
    expect(instead.length).toBeGreaterThanOrEqual(more!.length)
    expect([instead.readInt16BE(9), instead.readInt32BE(45)]).toEqual([0b1000, 1])
    expect(instead.subarray(49).includes(UNREADABLE)).toBe(true)
    expect(instead.includes('100001 records are more than 100000')).toBe(true)
    expect(more!.readInt32BE(45)).toBe(MAX_BATCH_RECORDS + 1)
  })

  it('of a fetch: others are left to the next one, however small they are', () => {
    const [first, second, third] = cut([60_000, 40_000, 1])
    expect(fewRecords(first!)).toBe(first)
    expect(fewRecords(second!)).toBe(second)
    expect(() => fewRecords(third!)).toThrow('enough for one fetch')
    const [again] = cut([1])
    expect(fewRecords(again!)).toBe(again)
  })

  it('does not touch what is no record batch', () => {
    const other = Buffer.alloc(100, 1)
    expect(fewRecords(other)).toBe(other)
    expect(fewRecords(other.subarray(0, 20)).length).toBe(20)
  })
})
