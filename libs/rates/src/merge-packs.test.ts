import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { mergePacks, splitPack } from './merge-packs.ts'
import { BrokenPack, decodePacks, encodePacks, type StoredPack } from './stored-pack.ts'

interface Price {
  batchNo: number
  day: number
  price: number
}

const elements = (prices: readonly number[]): Uint8Array => {
  const view = new DataView(new ArrayBuffer(prices.length * 8))
  prices.forEach((price, i) => {
    view.setInt32(i * 8, 4)
    view.setInt32(i * 8 + 4, price)
  })
  return new Uint8Array(view.buffer)
}

const read = (bytes: Uint8Array): number[] => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: bytes.length / 8 }, (_, i) => view.getInt32(i * 8 + 4))
}

/** A pack as the table may hold it, made in the plainest way. */
function packOf(rows: readonly Price[], month = 7305): StoredPack {
  const keys = [...new Set(rows.map(({ day, batchNo }) => day * 1e9 + batchNo))].sort((a, b) => a - b)
  const sums = new Float64Array(31)
  for (const { day, price } of rows) sums[day]! += price
  const parts = keys.map((key) => {
    const [day, batchNo] = [Math.floor(key / 1e9), key % 1e9]
    const prices = rows.filter((row) => row.day === day && row.batchNo === batchNo).map(({ price }) => price)
    return { day, batchNo, n: prices.length, prices: elements(prices) }
  })
  return { orig: 3, dest: 2_000_000_000, month, sums, parts, size: rows.length }
}

const rowsOf = (packs: readonly StoredPack[]): string[] =>
  packs
    .flatMap(({ parts }) =>
      parts.flatMap(({ day, batchNo, prices }) => read(prices).map((p) => `${batchNo} ${day} ${p}`)),
    )
    .sort()

const price = fc.record({
  batchNo: fc.constantFrom(1, 2, 9, 700_000_000),
  day: fc.integer({ min: 0, max: 30 }),
  price: fc.integer({ min: 1, max: 2_147_483_647 }),
})
const rows = fc.array(price, { minLength: 1, maxLength: 60 })
const packs = fc.array(rows, { minLength: 1, maxLength: 6 }).map((each) => each.map((some) => packOf(some)))

const plain = (pack: StoredPack) => ({
  ...pack,
  sums: [...pack.sums],
  parts: pack.parts.map((part) => ({ ...part, prices: read(part.prices) })),
})

describe('packs in binary COPY', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(packs, (some) => {
        expect(decodePacks(encodePacks(some)).map(plain)).toEqual(some.map(plain))
      }),
    )
  })

  it('keep numbers of batches beyond 2^32', () => {
    const pack = packOf([{ batchNo: 5, day: 3, price: 7 }])
    pack.parts[0]!.batchNo = 2 ** 40 + 3
    expect(decodePacks(encodePacks([pack]))[0]!.parts[0]!.batchNo).toBe(2 ** 40 + 3)
  })

  it.each<[string, (pack: StoredPack) => void]>([
    ['n does not add up', (pack) => (pack.parts[0]!.n = 2)],
    ['holds more prices', (pack) => (pack.parts.at(-1)!.prices = elements([1, 2]))],
    ['out of order', (pack) => pack.parts.reverse()],
    ['days differ', (pack) => (pack.parts = [])],
  ])('are refused where their arrays do not belong together: %s', (what, spoil) => {
    const pack = packOf([
      { batchNo: 5, day: 3, price: 7 },
      { batchNo: 5, day: 4, price: 8 },
    ])
    spoil(pack)
    pack.size = pack.parts.reduce((all, { prices }) => all + prices.length / 8, 0)
    const bytes = encodePacks([pack])
    expect(() => decodePacks(bytes)).toThrow(BrokenPack)
    expect(() => decodePacks(bytes)).toThrow(what)
    expect(() => decodePacks(bytes)).toThrow('port 3 to port 2000000000 in 2020-01')
  })
})

describe('mergePacks', () => {
  it('keeps every price with its batch and day, and every sum', () => {
    fc.assert(
      fc.property(packs, (some) => {
        const merged = mergePacks(some)
        expect(rowsOf([merged])).toEqual(rowsOf(some))
        const prices = some.flatMap(({ parts }) => parts.flatMap((part) => read(part.prices).map((p) => [part.day, p])))
        const sums = Array.from({ length: 31 }, (_, day) =>
          prices.reduce((sum, [of, p]) => (of === day ? sum + p! : sum), 0),
        )
        expect([...merged.sums]).toEqual(sums)
        expect(merged.size).toBe(prices.length)
        // Days ascend, and a batch has one part on a day.
        const order = merged.parts.map(({ day, batchNo }) => day * 1e9 + batchNo)
        expect(order).toEqual([...new Set(order)].sort((a, b) => a - b))
      }),
    )
  })
})

describe('splitPack', () => {
  it('is the inverse of merging', () => {
    fc.assert(
      fc.property(packs, fc.constantFrom(1, 2, 9, 700_000_000), (some, batchNo) => {
        const { own, rest } = splitPack(mergePacks(some), batchNo)
        const all = rowsOf(some)
        const mine = (line: string): boolean => line.startsWith(`${batchNo} `)
        expect(own ? rowsOf([own]) : []).toEqual(all.filter(mine))
        expect(rest ? rowsOf([rest]) : []).toEqual(all.filter((line) => !mine(line)))
        if (own && rest) expect(plain(mergePacks([own, rest]))).toEqual(plain(mergePacks(some)))
        for (const half of [own, rest])
          if (half) expect(decodePacks(encodePacks([half])).map(plain)).toEqual([plain(half)])
      }),
    )
  })
})
