import fc from 'fast-check'
import { formatDay } from '@rates/core/months'
import { PortTable } from '@rates/core/port-table'
import { type RowBuffer } from '@rates/core/row-buffer'

/** A row as a test writes it. */
export interface PriceRow {
  orig: string
  dest: string
  day: string
  price: number
}

export const codes = ['CNGGZ', 'NLRTM', 'SGSIN', 'USLAX', 'DEHAM']
export const ports = new PortTable(codes.map((code, i) => ({ code, id: i * 7 + 3 })))

export const priceRow: fc.Arbitrary<PriceRow> = fc.record({
  orig: fc.constantFrom(...codes),
  dest: fc.constantFrom(...codes),
  day: fc
    .tuple(fc.integer({ min: 600, max: 602 }), fc.integer({ min: 0, max: 27 }))
    .map(([month, day]) => formatDay(month, day)),
  price: fc.integer({ min: 1, max: 2_147_483_647 }),
})

/** The good rows of a buffer. */
export function rowsOf(rows: RowBuffer, table: PortTable): PriceRow[] {
  const name = (index: number): string => codes[(table.ids[index]! - 3) / 7]!
  return Array.from({ length: rows.accepted }, (_, i) => ({
    orig: name(rows.orig[i]!),
    dest: name(rows.dest[i]!),
    day: formatDay(rows.day[i]! >> 5, rows.day[i]! & 31),
    price: rows.price[i]!,
  }))
}
