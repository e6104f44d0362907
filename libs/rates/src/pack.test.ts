import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { parseCsv } from './csv.ts'
import { formatDay, postgresDayOfMonth } from './months.ts'
import { Packer } from './pack.ts'
import { PortTable } from './port-table.ts'
import { RowBuffer } from './row-buffer.ts'
import { codes, ports, priceRow, type PriceRow } from '@rates/testing/price-rows'

interface Pack {
  batchNo: bigint
  orig: number
  dest: number
  month: number
  days: number[]
  n: number[]
  s: bigint[]
  prices: number[]
}

/** `expect` takes too long for half a million facts. */
function must(fact: boolean): void {
  if (!fact) throw new Error('this is no binary COPY of price_packs')
}

/** Reads binary COPY as PostgreSQL does: written apart from the encoder, from the protocol's description. */
function decode(copy: Uint8Array): Pack[] {
  const view = new DataView(copy.buffer, copy.byteOffset, copy.byteLength)
  must(new TextDecoder('latin1').decode(copy.subarray(0, 11)) === 'PGCOPY\n\xff\r\n\0')
  must(view.getInt32(11) === 0 && view.getInt32(15) === 0)
  let at = 19
  const int32 = (): number => view.getInt32((at += 4) - 4)
  const packs: Pack[] = []
  const array = <T>(type: number, width: number, read: (at: number) => T): T[] => {
    const end = at + 4 + view.getInt32(at)
    at += 4
    must(int32() === 1 && int32() === 0 && int32() === type)
    const length = int32()
    must(int32() === 1)
    const values = Array.from({ length }, () => {
      must(int32() === width)
      return read((at += width) - width)
    })
    must(at === end)
    return values
  }
  for (;;) {
    const columns = view.getInt16(at)
    at += 2
    if (columns === -1) break
    must(columns === 8)
    must(int32() === 8)
    const batchNo = view.getBigInt64((at += 8) - 8)
    const [l1, orig, l2, dest, l3, month] = [int32(), int32(), int32(), int32(), int32(), int32()]
    must(l1 === 4 && l2 === 4 && l3 === 4)
    packs.push({
      batchNo,
      orig,
      dest,
      month,
      days: array(21, 2, (i) => view.getInt16(i)),
      n: array(23, 4, (i) => view.getInt32(i)),
      s: array(20, 8, (i) => view.getBigInt64(i)),
      prices: array(23, 4, (i) => view.getInt32(i)),
    })
  }
  must(at === copy.length)
  return packs
}

const idOf = (code: string): number => codes.indexOf(code) * 7 + 3

/** The same by plain means. */
function model(list: PriceRow[], batchNo: bigint): Pack[] {
  const groups = new Map<string, PriceRow[]>()
  for (const row of list) {
    const key = [idOf(row.orig), idOf(row.dest), row.day.slice(0, 7)].join(' ')
    groups.set(key, [...(groups.get(key) ?? []), row])
  }
  const packs = [...groups.values()].map((rows) => {
    const days = [...new Set(rows.map(({ day }) => Number(day.slice(8)) - 1))].sort((a, b) => a - b)
    const of = days.map((day) => rows.filter((row) => Number(row.day.slice(8)) - 1 === day).map(({ price }) => price))
    return {
      batchNo,
      orig: idOf(rows[0]!.orig),
      dest: idOf(rows[0]!.dest),
      month: (Date.parse(`${rows[0]!.day.slice(0, 7)}-01`) - Date.parse('2000-01-01')) / 86_400_000,
      days,
      n: of.map((prices) => prices.length),
      s: of.map((prices) => prices.reduce((sum, price) => sum + BigInt(price), 0n)),
      prices: of.flat(),
    }
  })
  return packs.sort((a, b) => a.orig - b.orig || a.dest - b.dest || a.month - b.month)
}

function rowsFrom(list: PriceRow[]): RowBuffer {
  const rows = new RowBuffer()
  const text = list.map(({ orig, dest, day, price }) => `${orig},${dest},${day},${price}\n`).join('')
  parseCsv(new TextEncoder().encode(text), ports, rows)
  return rows
}

/** A piece is valid until the next is asked for. */
const whole = (pieces: Iterable<Uint8Array>): Uint8Array =>
  Buffer.concat(Array.from(pieces, (piece) => Buffer.from(piece)))

describe('Packer', () => {
  it('packs any rows as plain means do, in the order of the index', () => {
    const packer = new Packer()
    fc.assert(
      fc.property(fc.array(priceRow, { maxLength: 100 }), fc.bigInt({ min: 1n, max: 2n ** 62n }), (list, batchNo) => {
        expect(decode(whole(packer.encode([rowsFrom(list)], ports, batchNo)))).toEqual(model(list, batchNo))
      }),
    )
  })

  it('packs a full chunk of the largest prices on one day', () => {
    const row = { orig: 'CNGGZ', dest: 'NLRTM', day: '2199-12-31', price: 2_147_483_647 }
    const rows = rowsFrom(Array<PriceRow>(32_767).fill(row))
    const [pack, ...others] = decode(whole(new Packer().encode([rows], ports, 1n)))
    expect(others).toEqual([])
    expect(pack).toMatchObject({ days: [30], n: [32_767], s: [32_767n * 2_147_483_647n] })
    expect(pack!.prices).toHaveLength(32_767)
  })

  it('packs a full chunk in which every row is a pack of its own', () => {
    const list = Array.from({ length: 32_767 }, (_, i): PriceRow => {
      const month = i % 2760
      const pair = Math.floor(i / 2760)
      return { orig: codes[pair % 5]!, dest: codes[Math.floor(pair / 5)]!, day: formatDay(month, 3), price: i + 1 }
    })
    const decoded = decode(whole(new Packer().encode([rowsFrom(list)], ports, 9n)))
    expect(decoded).toHaveLength(32_767)
    expect(decoded.reduce((sum, pack) => sum + pack.prices[0]!, 0)).toBe((32_767 * 32_768) / 2)
  })

  it('packs several chunks as one, however they are cut', () => {
    const packer = new Packer()
    const lists = fc.array(fc.array(priceRow, { maxLength: 40 }), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(lists, (chunks) => {
        const decoded = decode(whole(packer.encode(chunks.map(rowsFrom), ports, 7n)))
        expect(decoded).toEqual(model(chunks.flat(), 7n))
      }),
    )
  })

  it('packs four full chunks of which each row is in a group with rows of the others', () => {
    const chunk = Array.from({ length: 32_767 }, (_, i): PriceRow => {
      const pair = i % 25
      return {
        orig: codes[pair % 5]!,
        dest: codes[Math.floor(pair / 5)]!,
        day: formatDay(i % 1_000, i % 28),
        price: i + 1,
      }
    })
    const four = Array.from({ length: 4 }, () => rowsFrom(chunk))
    const one = decode(whole(new Packer().encode([four[0]!], ports, 1n)))
    const all = decode(whole(new Packer().encode(four, ports, 1n)))
    expect(all.map(({ n }) => n)).toEqual(one.map(({ n }) => n.map((count) => count * 4)))
    expect(all.map(({ s }) => s)).toEqual(one.map(({ s }) => s.map((sum) => sum * 4n)))
  })

  it.each([1, 1_000_000_000])('keeps the order of the index with ids from %d on', (from) => {
    const table = new PortTable(codes.map((code, i) => ({ code, id: from + ((i * 3) % codes.length) })))
    const rows = new RowBuffer()
    const lines = codes.flatMap((orig) =>
      codes.map((dest) => [`${orig},${dest},2026-02-01,5`, `${dest},${orig},2025-12-31,7`]),
    )
    parseCsv(new TextEncoder().encode(lines.flat().join('\n')), table, rows)
    const keys = decode(whole(new Packer().encode([rows], table, 1n))).map(({ orig, dest, month }) => [
      orig,
      dest,
      month,
    ])
    expect(keys.length).toBe(codes.length ** 2 * 2)
    expect(keys).toEqual(keys.toSorted(([a, b, c], [d, e, f]) => a! - d! || b! - e! || c! - f!))
  })

  it("counts days as PostgreSQL's dates do", () => {
    expect(postgresDayOfMonth(360)).toBe(0) // 2000-01
    expect(postgresDayOfMonth(0)).toBe(-10_957)
  })
})
