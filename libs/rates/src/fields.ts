import { hashBytes } from './digest.ts'
import { MAX_PRICE, MIN_PRICE } from './limits.ts'
import { parseDay } from './months.ts'
import { type PortTable } from './port-table.ts'
import { type Rule } from './rejection.ts'
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

/** Where a row's four fields stand in its bytes: start and end of each, in the order of the columns. Eight places. */
export type FieldSpans = Int32Array

/** The words of two codes that are not in the table. */
const words = new Int32Array(8)

/**
 * The careful way to take a row: every fault is told apart, the first one is recorded. The parsers' fast ways fall back
 * to it, so that they hold no error handling. The row is row[start, end) as it came; its fields stand at `spans` in
 * `bytes`, which are the same if they needed no unpacking.
 */
export function takeRow(
  rows: RowBuffer,
  ports: PortTable,
  bytes: Uint8Array,
  spans: FieldSpans,
  row: Uint8Array,
  start: number,
  end: number,
): void {
  const orig = ports.find(bytes, spans[0]!, spans[1]!)
  const dest = ports.find(bytes, spans[2]!, spans[3]!)
  const day = parseDay(bytes, spans[4]!, spans[5]!)
  const price = parsePrice(bytes, spans[6]!, spans[7]!)
  if (orig >= 0 && dest >= 0 && day >= 0 && price >= 0) rows.accept(orig, dest, day, price)
  else refuseRow(rows, ports, bytes, spans, row, start, end, orig, dest, day, price)
}

/** Refuses a row whose fields were read already, as takeRow does: what could not be read is negative. */
export function refuseRow(
  rows: RowBuffer,
  ports: PortTable,
  bytes: Uint8Array,
  spans: FieldSpans,
  row: Uint8Array,
  start: number,
  end: number,
  orig: number,
  dest: number,
  day: number,
  price: number,
): void {
  let column = 3
  let rule: Rule = price === -1 ? 'not_a_whole_number' : 'price_out_of_range'
  if (orig < 0 || dest < 0) {
    column = orig < 0 ? 0 : 1
    rule = 'unknown_port'
  } else if (day < 0) {
    column = 2
    rule = day === -1 ? 'not_a_date' : 'date_out_of_range'
  }
  const from = spans[column * 2]!
  const to = spans[column * 2 + 1]!
  if (bytes === row) rows.reject(column + 1, rule, row, start, end, from, to)
  else rows.reject(column + 1, rule, row, start, end, textOf(bytes, from, to))
  if (day >= 0 && price >= 0) {
    // Only a code is not known (yet): the row has the digest that it will have once the port is imported.
    hashBytes(bytes, spans[0]!, spans[1]!, words, 0)
    hashBytes(bytes, spans[2]!, spans[3]!, words, 4)
    rows.digest.addRow(words, 0, 4, day, price)
  } else {
    // Field by field, so that the same bad row counts alike in any format and order of keys.
    if (orig >= 0) rows.digest.addHash(ports.words, orig * 4)
    else rows.digest.addBytes(bytes, spans[0]!, spans[1]!)
    if (dest >= 0) rows.digest.addHash(ports.words, dest * 4)
    else rows.digest.addBytes(bytes, spans[2]!, spans[3]!)
    rows.digest.addBytes(bytes, spans[4]!, spans[5]!)
    rows.digest.addBytes(bytes, spans[6]!, spans[7]!)
  }
}
