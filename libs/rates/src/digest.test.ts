import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { DigestSum, digestHex, hashBytes } from './digest.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

function murmur(text: string): string {
  const words = new Int32Array(4)
  const input = bytes(text)
  hashBytes(input, 0, input.length, words, 0)
  return Array.from(words, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('')
}

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const row = fc.record({
  codes: fc.array(word, { minLength: 8, maxLength: 8 }),
  day: fc.nat(90_000),
  price: fc.nat(2 ** 31 - 1),
})
type Row = { codes: number[]; day: number; price: number }

const sumOf = (rows: readonly Row[]): DigestSum => {
  const sum = new DigestSum()
  for (const { codes, day, price } of rows) sum.addRow(Int32Array.from(codes), 0, 4, day, price)
  return sum
}

describe('the digest of content', () => {
  // Vectors of mmh3.mmh3_x86_128_digest (PyPI mmh3), its words read as little-endian.
  it.each([
    ['', '00000000000000000000000000000000'],
    ['a', 'a794933c5556b01b5556b01b5556b01b'],
    ['CNGGZ', '3296b9263d9b160cf09f3672f09f3672'],
    ['sixteen bytes ok', '17bb96747bbdf69a9819fb289a2a85e6'],
    ['I will not buy this record, it is scratched.', 'a0a9683b25ac5e40d9af2895890dddf5'],
  ])('is built on MurmurHash3 x86 128: %j', (text, hash) => {
    expect(murmur(text)).toBe(hash)
  })

  it("is, for a row, the hash of its ten little-endian words' bytes", () => {
    fc.assert(
      fc.property(row, ({ codes, day, price }) => {
        const encoded = new Uint8Array(40)
        const view = new DataView(encoded.buffer)
        ;[...codes, day, price].forEach((value, i) => view.setInt32(i * 4, value, true))
        const sum = new DigestSum()
        sum.addBytes(encoded, 0, 40)
        expect(sumOf([{ codes, day, price }]).bytes()).toEqual(sum.bytes())
      }),
    )
  })

  it('does not depend on order or cutting, and counts equal rows', () => {
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 40 }), fc.nat(), (rows, at) => {
        const cut = at % rows.length
        const parts = new DigestSum()
        parts.addDigest(sumOf(rows.slice(cut).reverse()).bytes())
        parts.addDigest(sumOf(rows.slice(0, cut)).bytes())
        const whole = sumOf(rows).bytes()
        expect(parts.bytes()).toEqual(whole)
        expect(sumOf([...rows, rows[0]!]).bytes()).not.toEqual(whole)
      }),
    )
  })

  it('is a sum modulo 2^128', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 16, maxLength: 16 }), { maxLength: 50 }), (digests) => {
        const sum = new DigestSum()
        let expected = 0n
        for (const digest of digests) {
          sum.addDigest(digest)
          expected = (expected + BigInt(`0x${digestHex(digest)}`)) % (1n << 128n)
        }
        expect(digestHex(sum.bytes())).toBe(expected.toString(16).padStart(32, '0'))
      }),
    )
  })

  it('tells rows apart that differ in one field', () => {
    const one = { codes: [1, 2, 3, 4, 5, 6, 7, 8], day: 19_000, price: 100 }
    const swapped = { ...one, codes: [5, 6, 7, 8, 1, 2, 3, 4] }
    const others = [swapped, { ...one, day: 19_001 }, { ...one, price: 101 }]
    const digests = [one, ...others].map((each) => digestHex(sumOf([each]).bytes()))
    expect(new Set(digests).size).toBe(4)
  })
})
