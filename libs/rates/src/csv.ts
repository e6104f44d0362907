import { takeRow } from './fields.ts'
import { MAX_RECORD_BYTES } from './limits.ts'
import { daysInMonth } from './months.ts'
import { type PortTable } from './port-table.ts'
import { type Rule } from './rejection.ts'
import { type RowBuffer } from './row-buffer.ts'

const COMMA = 0x2c
const LF = 0x0a
const CR = 0x0d
const QUOTE = 0x22

export const CSV_HEADER = 'orig_code,dest_code,day,price'
const HEADER = new TextEncoder().encode(CSV_HEADER)

/** Bytes of a byte order mark and of a header line at `start`, which are no data: 0 where there are none. */
export function csvPreamble(body: Uint8Array, start = 0): number {
  let at = start
  if (body[at] === 0xef && body[at + 1] === 0xbb && body[at + 2] === 0xbf) at += 3
  const afterMark = at
  for (let i = 0; i < HEADER.length; i++) if (body[at++] !== HEADER[i]) return afterMark - start
  if (body[at] === CR) at++
  if (at < body.length && body[at] !== LF) return afterMark - start
  return Math.min(at + 1, body.length) - start
}

/**
 * Parses a chunk of CSV (RFC 4180, LF or CRLF, UTF-8; a header line and a byte order mark are allowed at its start)
 * into `rows`, which the caller has reset. A row ends at the first line break before which quotes are balanced.
 * One row is read twice only if it is quoted or bad.
 * @throws TooManyRows
 */
export function parseCsv(body: Uint8Array, ports: PortTable, rows: RowBuffer): void {
  const end = body.length
  let at = csvPreamble(body)
  // The last row's codes: suppliers' files mostly come sorted by pair.
  let origAt = -1
  let origLength = 0
  let orig = -1
  let destAt = -1
  let destLength = 0
  let dest = -1
  while (at < end) {
    const o0 = at
    let p = at
    while (p < end && body[p] !== COMMA && body[p] !== LF) p++
    const o1 = p
    const d0 = ++p
    while (p < end && body[p] !== COMMA && body[p] !== LF) p++
    const d1 = p
    const day0 = p + 1
    // A date has ten characters, so the price starts eleven after it: anything else goes the careful way.
    const parted = d1 < end && body[o1] === COMMA && body[d1] === COMMA && body[day0 + 10] === COMMA
    const day = parted ? fastDay(body, day0) : -1
    if (day >= 0) {
      p = day0 + 11
      let price = 0
      let digit = 0
      while (p < end && (digit = body[p]! - 0x30) >= 0 && digit <= 9 && price < 400_000_000) {
        price = price * 10 + digit
        p++
      }
      const digits = p - (day0 + 11)
      if (p < end && body[p] === CR) p++
      if (digits > 0 && price > 0 && price <= 2_147_483_647 && (p === end || body[p] === LF)) {
        if (!sameBytes(body, origAt, origLength, o0, o1)) {
          orig = ports.find(body, o0, o1)
          origAt = o0
          origLength = o1 - o0
        }
        if (!sameBytes(body, destAt, destLength, d0, d1)) {
          dest = ports.find(body, d0, d1)
          destAt = d0
          destLength = d1 - d0
        }
        if (orig >= 0 && dest >= 0) {
          rows.accept(orig, dest, day, price)
          at = p + 1
          continue
        }
      }
    }
    at = carefulRow(body, o0, ports, rows)
  }
  rows.sumAccepted(ports)
}

function sameBytes(body: Uint8Array, at: number, length: number, start: number, end: number): boolean {
  if (at < 0 || length !== end - start) return false
  for (let i = 0; i < length; i++) if (body[at + i] !== body[start + i]) return false
  return true
}

function fastDay(body: Uint8Array, at: number): number {
  if (body[at + 4] !== 0x2d || body[at + 7] !== 0x2d) return -1
  const y0 = body[at]! - 0x30
  const y1 = body[at + 1]! - 0x30
  const y2 = body[at + 2]! - 0x30
  const y3 = body[at + 3]! - 0x30
  const m0 = body[at + 5]! - 0x30
  const m1 = body[at + 6]! - 0x30
  const d0 = body[at + 8]! - 0x30
  const d1 = body[at + 9]! - 0x30
  if (((y0 | y1 | y2 | y3 | m0 | m1 | d0 | d1) & ~15) !== 0) return -1
  if (y0 > 9 || y1 > 9 || y2 > 9 || y3 > 9 || m0 > 9 || m1 > 9 || d0 > 9 || d1 > 9) return -1
  const year = y0 * 1000 + y1 * 100 + y2 * 10 + y3
  const monthOfYear = m0 * 10 + m1 - 1
  const day = d0 * 10 + d1 - 1
  if (year < 1970 || year > 2199 || monthOfYear < 0 || monthOfYear > 11 || day < 0) return -1
  const month = (year - 1970) * 12 + monthOfYear
  return day < daysInMonth(month) ? month * 32 + day : -1
}

/** Where the fields of the row in hand stand. */
const spans = new Int32Array(8)

/** Takes the row that starts at `start` with every rule of RFC 4180. @returns where the next one starts. */
function carefulRow(body: Uint8Array, start: number, ports: PortTable, rows: RowBuffer): number {
  let lineEnd = start
  let quotes = 0
  let commas = 0
  for (; lineEnd < body.length; lineEnd++) {
    const byte = body[lineEnd]
    if (byte === COMMA) {
      if (commas < 3) {
        spans[commas * 2 + 1] = lineEnd
        spans[commas * 2 + 2] = lineEnd + 1
      }
      commas++
    } else if (byte === QUOTE) quotes++
    else if (byte === LF && quotes % 2 === 0) break
  }
  const next = lineEnd + 1
  const end = lineEnd > start && body[lineEnd - 1] === CR ? lineEnd - 1 : lineEnd
  if (end - start > MAX_RECORD_BYTES) {
    // A quote that never closes makes a long row, too: then that is what to tell.
    if (quotes % 2 === 1) refuse(rows, 'quotes', '"', body, start, end)
    else refuse(rows, 'row_too_long', `${end - start} bytes`, body, start, end)
    return next
  }
  if (quotes === 0) {
    spans[0] = start
    spans[7] = end
    if (commas === 3) takeRow(rows, ports, body, spans, body, start, end)
    else refuse(rows, 'columns', `${commas + 1} columns`, body, start, end)
    return next
  }
  const fields = unquote(body, start, end)
  if (fields === undefined) refuse(rows, 'quotes', '"', body, start, end)
  else if (fields.spans.length !== 8) refuse(rows, 'columns', `${fields.spans.length / 2} columns`, body, start, end)
  else takeRow(rows, ports, fields.bytes, Int32Array.from(fields.spans), body, start, end)
  return next
}

function refuse(rows: RowBuffer, rule: Rule, value: string, body: Uint8Array, start: number, end: number): void {
  rows.reject(0, rule, body, start, end, value)
  rows.digest.addBytes(body, start, end)
}

/** The fields of a record without their quotes, one after the other; undefined if a quoted field does not end well. */
function unquote(body: Uint8Array, start: number, end: number): { bytes: Uint8Array; spans: number[] } | undefined {
  const bytes = new Uint8Array(end - start)
  const spans: number[] = []
  let out = 0
  let at = start
  for (;;) {
    spans.push(out)
    if (body[at] === QUOTE && at < end) {
      at++
      for (;;) {
        if (at >= end) return undefined
        if (body[at] === QUOTE) {
          if (at + 1 < end && body[at + 1] === QUOTE) at++
          else break
        }
        bytes[out++] = body[at++]!
      }
      at++
      if (at < end && body[at] !== COMMA) return undefined
    } else while (at < end && body[at] !== COMMA) bytes[out++] = body[at++]!
    spans.push(out)
    if (at >= end) return { bytes, spans }
    at++
  }
}
