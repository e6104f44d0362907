import { describe, expect, it } from '@jest/globals'
import { packRow, packsCopy, pricesOf, type PackedPrice, type PackRow } from '@rates/testing/packs'
import fc from 'fast-check'
import { mergePacks, splitPack } from './merge-packs.ts'
import { PackWriter } from './pack-writer.ts'
import { BrokenPack, StoredPacks } from './stored-packs.ts'

const price = fc.record({
  batchNo: fc.constantFrom(1, 2, 9, 2 ** 40 + 3),
  day: fc.integer({ min: 0, max: 30 }),
  price: fc.integer({ min: 1, max: 2_147_483_647 }),
})
const pack = fc.array(price, { minLength: 1, maxLength: 60 })
const packs = fc.array(pack, { minLength: 1, maxLength: 6 }).map((each) => each.map((rows) => packRow(rows, 3, 2e9)))

const all = (stored: StoredPacks): number[] => Array.from({ length: stored.length }, (_, i) => i)

/** What was written, as the rows that PostgreSQL makes of it. */
function rowsOf(writer: PackWriter): PackRow[] {
  const stored = new StoredPacks(writer.copy())
  return all(stored).map((i) => {
    const [from, to] = [stored.first[i]!, stored.end(i)]
    const sums = new Float64Array(31)
    stored.addSums(i, sums)
    const days = [...new Set(stored.partDay.slice(from, to))]
    const parts = Array.from({ length: to - from }, (_, part) => from + part)
    const n = days.map((day) =>
      parts.reduce((sum, part) => (stored.partDay[part] === day ? sum + stored.partN[part]! : sum), 0),
    )
    const prices: number[] = []
    for (const part of parts) {
      for (let p = 0; p < stored.partN[part]!; p++) prices.push(stored.view.getInt32(stored.partAt[part]! + p * 8))
    }
    const merged = stored.merged[i]!
    return {
      batch_no: stored.batchNo[i]!,
      orig: stored.orig[i]!,
      dest: stored.dest[i]!,
      month: new Date((stored.month[i]! + 10_957) * 86_400_000).toISOString().slice(0, 10),
      days,
      n,
      s: days.map((day) => sums[day]!),
      prices,
      batches: merged ? stored.partBatch.slice(from, to) : null,
      batch_n: merged ? stored.partN.slice(from, to) : null,
    }
  })
}

function merge(some: readonly PackRow[]): PackRow[] {
  const stored = new StoredPacks(packsCopy(some))
  const writer = new PackWriter()
  mergePacks(stored, all(stored), writer)
  return rowsOf(writer)
}

function split(some: PackRow, batchNo: number): PackRow[] {
  const writer = new PackWriter()
  splitPack(new StoredPacks(packsCopy([some])), 0, batchNo, writer)
  return rowsOf(writer)
}

const inOrder = (rows: readonly PackedPrice[]): PackedPrice[] =>
  [...rows].sort((a, b) => a.day - b.day || a.batchNo - b.batchNo || a.price - b.price)

const content = (some: readonly PackRow[]): PackedPrice[] => inOrder(some.flatMap(pricesOf))

/** The pack that holds this content, but for the order of one batch's prices of one day. */
const shape = ({ prices, ...rest }: PackRow): object => ({ ...rest, size: prices.length })

describe('mergePacks', () => {
  it('makes one pack that holds every price with its day and batch', () => {
    fc.assert(
      fc.property(packs, (some) => {
        const merged = merge(some)
        expect(content(merged)).toEqual(content(some))
        expect(merged.map(shape)).toEqual([shape(packRow(content(some), 3, 2e9))])
      }),
    )
  })

  it('makes a pack of a batch’s own of packs of one batch', () => {
    const rows = [1, 2, 3].map((day) => ({ batchNo: 7, day, price: 5 }))
    expect(merge(rows.map((row) => packRow([row])))).toEqual([packRow(rows)])
  })

  it('keeps the sums that readers saw, also if they were wrong', () => {
    const wrong = packRow([{ batchNo: 1, day: 3, price: 10 }])
    wrong.s = [11]
    const merged = merge([wrong, packRow([{ batchNo: 2, day: 3, price: 100 }])])
    expect(merged[0]!.s).toEqual([111])
  })
})

describe('splitPack', () => {
  it('is the inverse of merging', () => {
    fc.assert(
      fc.property(packs, fc.constantFrom(1, 2, 9, 2 ** 40 + 3, 77), (some, batchNo) => {
        const rows = content(some)
        const halves = split(merge(some)[0]!, batchNo)
        const expected = [
          rows.filter((row) => row.batchNo === batchNo),
          rows.filter((row) => row.batchNo !== batchNo),
        ].filter((half) => half.length > 0)
        expect(halves.map((half) => content([half]))).toEqual(expected)
        expect(halves.map(shape)).toEqual(expected.map((half) => shape(packRow(half, 3, 2e9))))
        expect(content(merge(halves))).toEqual(rows)
      }),
    )
  })
})

describe('a pack whose arrays do not belong together', () => {
  const good = packRow([
    { batchNo: 5, day: 3, price: 7 },
    { batchNo: 6, day: 3, price: 8 },
    { batchNo: 5, day: 4, price: 9 },
  ])
  it.each<[string, Partial<PackRow>]>([
    ['n does not add up', { n: [2, 2] }],
    ['n does not add up', { n: [0, 3] }],
    ['more prices than n tells', { prices: [7, 8, 9, 10] }],
    ['day 3 is out of order', { days: [4, 3] }],
    ['day 31 is out of order', { days: [4, 31] }],
    ['days, n and s differ', { s: [15] }],
    ['days, n and s differ', { days: [], n: [], s: [], prices: [], batches: null, batch_n: null }],
    ['batches and batch_n differ', { batches: [5, 6] }],
    ['batch_n does not add up', { batch_n: [1, 2, 1] }],
    ['batch_n does not add up', { batch_n: [2, 0, 1] }],
    ['more prices than n tells', { batches: [5, 6, 5, 9], batch_n: [1, 1, 1, 1] }],
    ['an array is missing', { batch_n: null }],
    ['an array is missing', { prices: null as never }],
  ])('is refused: %s', (what, wrong) => {
    const read = (): unknown => new StoredPacks(packsCopy([good, { ...good, ...wrong }]))
    expect(read).toThrow(BrokenPack)
    expect(read).toThrow(what)
    expect(read).toThrow('port 1 to port 2 in 2020-01 is broken')
  })
})
