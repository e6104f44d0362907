import { parsePrice, takeRow, type FieldSpans } from './fields.ts'
import { parseDay } from './months.ts'
import { type PortTable } from './port-table.ts'
import { rejection, type Field } from './rejection.ts'
import { type RowBuffer } from './row-buffer.ts'
import { textOf } from './text.ts'

const LF = 0x0a
const CR = 0x0d
const QUOTE = 0x22
const BACKSLASH = 0x5c
const FIELDS: readonly Field[] = ['orig_code', 'dest_code', 'day', 'price']
const encoder = new TextEncoder()

/** Start and end of each field of the last object that fastObject read. */
const spans = new Int32Array(8)

/**
 * Parses a chunk of NDJSON: a line is one object `{"orig_code":"CNGGZ","dest_code":"NLRTM","day":"2021-01-31",
 * "price":1154}`, keys in any order, no others. A blank line is a bad row, as in CSV.
 * @throws TooManyRows
 */
export function parseNdjson(body: Uint8Array, ports: PortTable, rows: RowBuffer): void {
  let at = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0
  while (at < body.length) {
    const newline = body.indexOf(LF, at)
    const next = newline < 0 ? body.length : newline
    const end = next > at && body[next - 1] === CR ? next - 1 : next
    if (fastObject(body, at, end)) takeSpans(body, at, end, ports, rows)
    else if (at === end) refuse(rows, null, '', 'json', '')
    else carefulLine(textOf(body, at, end), ports, rows)
    at = next + 1
  }
  rows.sumAccepted(ports)
}

/** Takes the object that fastObject found, good or bad. */
function takeSpans(body: Uint8Array, start: number, end: number, ports: PortTable, rows: RowBuffer): void {
  const orig = ports.find(body, spans[0]!, spans[1]!)
  const dest = ports.find(body, spans[2]!, spans[3]!)
  const day = parseDay(body, spans[4]!, spans[5]!)
  const price = parsePrice(body, spans[6]!, spans[7]!)
  if (orig >= 0 && dest >= 0 && day >= 0 && price >= 0) rows.accept(orig, dest, day, price)
  else takeRow(rows, ports, body, spans as unknown as FieldSpans, () => textOf(body, start, end))
}

/** Parses a whole batch `{"prices":[{…}, …]}`; the caller parsed the JSON. @throws TooManyRows */
export function parsePrices(prices: readonly unknown[], ports: PortTable, rows: RowBuffer): void {
  for (const price of prices) takeObject(price, JSON.stringify(price), ports, rows)
  rows.sumAccepted(ports)
}

/** Reads an object of just the four fields without escapes into `spans`; false: the careful way has to look. */
function fastObject(body: Uint8Array, start: number, end: number): boolean {
  let at = skipSpace(body, start, end)
  if (body[at++] !== 0x7b) return false
  let seen = 0
  for (;;) {
    at = skipSpace(body, at, end)
    if (body[at++] !== QUOTE) return false
    const key0 = at
    while (at < end && body[at] !== QUOTE) at++
    const field = fieldOf(body, key0, at)
    if (field < 0 || (seen & (1 << field)) !== 0) return false
    seen |= 1 << field
    at = skipSpace(body, at + 1, end)
    if (body[at++] !== 0x3a) return false
    at = skipSpace(body, at, end)
    if (field < 3) {
      if (body[at++] !== QUOTE) return false
      spans[field * 2] = at
      while (at < end && body[at] !== QUOTE) if (body[at++] === BACKSLASH) return false
      spans[field * 2 + 1] = at++
    } else {
      const first = body[at]!
      if (first < 0x31 || first > 0x39) return false // JSON allows no leading zero
      spans[6] = at
      while (at < end && body[at]! >= 0x30 && body[at]! <= 0x39) at++
      spans[7] = at
    }
    at = skipSpace(body, at, end)
    if (at >= end) return false
    const separator = body[at++]
    if (separator === 0x7d) return seen === 15 && skipSpace(body, at, end) === end
    if (separator !== 0x2c) return false
  }
}

function skipSpace(body: Uint8Array, at: number, end: number): number {
  while (at < end && (body[at] === 0x20 || body[at] === 0x09)) at++
  return at
}

function fieldOf(body: Uint8Array, start: number, end: number): number {
  const name = end - start === 9 ? (body[start] === 0x6f ? 0 : 1) : end - start === 3 ? 2 : end - start === 5 ? 3 : -1
  if (name < 0) return -1
  const expected = FIELDS[name]!
  for (let i = 0; i < expected.length; i++) if (body[start + i] !== expected.charCodeAt(i)) return -1
  return name
}

function carefulLine(line: string, ports: PortTable, rows: RowBuffer): void {
  let object: unknown
  try {
    object = JSON.parse(line)
  } catch {
    refuse(rows, null, line, 'json', line)
    return
  }
  takeObject(object, line, ports, rows)
}

/** Takes one object, however it is written: every fault is told apart, the first is recorded. */
function takeObject(object: unknown, text: string, ports: PortTable, rows: RowBuffer): void {
  if (typeof object !== 'object' || object === null || Array.isArray(object)) {
    refuse(rows, null, text, 'json', text)
    return
  }
  const row = object as Record<string, unknown>
  const missing = FIELDS.find((field) => row[field] === undefined || row[field] === null)
  if (missing) {
    refuse(rows, missing, '', 'missing_field', text)
    return
  }
  const unknown = Object.keys(row).find((key) => !(FIELDS as readonly string[]).includes(key))
  if (unknown !== undefined) {
    refuse(rows, null, unknown, 'unknown_field', text)
    return
  }
  const notText = FIELDS.slice(0, 3).find((field) => typeof row[field] !== 'string')
  if (notText) {
    refuse(rows, notText, JSON.stringify(row[notText]), 'text_expected', text)
    return
  }
  const { price } = row
  if (typeof price !== 'number' || !Number.isInteger(price)) {
    refuse(rows, 'price', JSON.stringify(price), 'not_a_whole_number', text)
    return
  }
  const values = [row['orig_code'], row['dest_code'], row['day'], BigInt(price).toString()] as string[]
  const encoded = values.map((value) => encoder.encode(value))
  const bytes = new Uint8Array(encoded.reduce((sum, value) => sum + value.length, 0))
  const at: number[] = []
  let offset = 0
  for (const value of encoded) {
    bytes.set(value, offset)
    at.push(offset, (offset += value.length))
  }
  takeRow(rows, ports, bytes, at as unknown as FieldSpans, () => text)
}

function refuse(
  rows: RowBuffer,
  field: Field | null,
  value: string,
  rule: Parameters<typeof rejection>[3],
  text: string,
): void {
  rows.reject(rejection(rows.rows, field, value, rule, text))
  const bytes = encoder.encode(text)
  rows.digest.addBytes(bytes, 0, bytes.length)
}
