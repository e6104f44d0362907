import { hashBytes } from './digest.ts'
import { MAX_PRICE, MIN_PRICE } from './limits.ts'
import { parseDay } from './months.ts'
import { type PortTable } from './port-table.ts'
import { rejection, type Field, type Rule } from './rejection.ts'
import { type RowBuffer } from './row-buffer.ts'
import { textOf } from './text.ts'

/** Reads a price in ASCII digits: the price, -1 (not a whole number) or -2 (not 1 to 2 147 483 647). */
export function parsePrice(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  const negative = bytes[at] === 0x2d
  if (negative) at++
  if (at === end) return -1
  let price = 0
  for (; at < end; at++) {
    const digit = bytes[at]! - 0x30
    if (digit < 0 || digit > 9) return -1
    if (price <= MAX_PRICE) price = price * 10 + digit
  }
  return negative || price < MIN_PRICE || price > MAX_PRICE ? -2 : price
}

/** Where a row's four fields stand in `bytes`: start and end of each, in the order of the columns. */
export type FieldSpans = readonly [number, number, number, number, number, number, number, number]

/** The words of two codes that are not in the table. */
const words = new Int32Array(8)

/**
 * The careful way to take a row: every fault is told apart, the first one is recorded. The parsers' fast ways fall back
 * to it, so that they hold no error handling. `text` is called for a bad row only.
 */
export function takeRow(
  rows: RowBuffer,
  ports: PortTable,
  bytes: Uint8Array,
  spans: FieldSpans,
  text: () => string,
): void {
  const [o0, o1, d0, d1, day0, day1, p0, p1] = spans
  const orig = ports.find(bytes, o0, o1)
  const dest = ports.find(bytes, d0, d1)
  const day = parseDay(bytes, day0, day1)
  const price = parsePrice(bytes, p0, p1)
  if (orig >= 0 && dest >= 0 && day >= 0 && price >= 0) {
    rows.accept(orig, dest, day, price)
    return
  }
  const reject = (field: Field, start: number, end: number, rule: Rule): void =>
    rows.reject(rejection(rows.rows, field, textOf(bytes, start, end), rule, text()))
  if (orig < 0) reject('orig_code', o0, o1, 'unknown_port')
  else if (dest < 0) reject('dest_code', d0, d1, 'unknown_port')
  else if (day < 0) reject('day', day0, day1, day === -1 ? 'not_a_date' : 'date_out_of_range')
  else reject('price', p0, p1, price === -1 ? 'not_a_whole_number' : 'price_out_of_range')
  if (day >= 0 && price >= 0) {
    // Only a code is not known (yet): the row has the digest that it will have once the port is imported.
    hashBytes(bytes, o0, o1, words, 0)
    hashBytes(bytes, d0, d1, words, 4)
    rows.digest.addRow(words, 0, 4, day, price)
  } else {
    // Field by field, so that the same bad row counts alike in any format and order of keys.
    for (let i = 0; i < 8; i += 2) rows.digest.addBytes(bytes, spans[i]!, spans[i + 1]!)
  }
}
