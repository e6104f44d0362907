import { parsePrice, refuseRow, takeRow } from './fields.ts'
import { MAX_RECORD_BYTES } from './limits.ts'
import { parseDay } from './months.ts'
import { type PortTable } from './port-table.ts'
import { FIELDS, type Rule } from './rejection.ts'
import { type RowBuffer } from './row-buffer.ts'
import { textOf } from './text.ts'

const LF = 0x0a
const CR = 0x0d
const QUOTE = 0x22
const BACKSLASH = 0x5c
/** What fastObject finds: the four fields, a bit each; another key; a code or a day that is a number, a bit each. */
const ALL = 15
const STRAY = 16
const NUMBER = 32
const encoder = new TextEncoder()

/** Start and end of each field of the last object that fastObject read, and of a key in it that is none of them. */
const spans = new Int32Array(8)
const stray = new Int32Array(2)

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
    const found = fastObject(body, at, end)
    if (found === ALL) takeSpans(body, at, end, ports, rows)
    else if (end - at > MAX_RECORD_BYTES) refuse(rows, 0, 'row_too_long', `${end - at} bytes`, body, at, end)
    else if (found === 0 || hasControls(body, at, end)) carefulLine(body, at, end, ports, rows)
    else refusePlain(found, body, at, end, rows)
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
  else if (end - start > MAX_RECORD_BYTES) refuse(rows, 0, 'row_too_long', `${end - start} bytes`, body, start, end)
  else refuseRow(rows, ports, body, spans, body, start, end, orig, dest, day, price)
}

/** Refuses an object that lacks a field, has another, or a number for a text: fastObject has found all but that. */
function refusePlain(found: number, body: Uint8Array, start: number, end: number, rows: RowBuffer): void {
  for (let field = 0; field < 4; field++) {
    if ((found & (1 << field)) === 0) return refuse(rows, field + 1, 'missing_field', '', body, start, end)
  }
  if ((found & STRAY) !== 0) rows.reject(0, 'unknown_field', body, start, end, stray[0]!, stray[1])
  else {
    const field = (found & NUMBER) !== 0 ? 0 : (found & (NUMBER << 1)) !== 0 ? 1 : 2
    rows.reject(field + 1, 'text_expected', body, start, end, spans[field * 2]!, spans[field * 2 + 1])
  }
  rows.digest.addBytes(body, start, end)
}

/** JSON has no such bytes in its texts: JSON.parse is to tell. */
function hasControls(body: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (body[i]! < 0x20) return true
  return false
}

/** Parses a whole batch `{"prices":[{…}, …]}`; the caller parsed the JSON. @throws TooManyRows */
export function parsePrices(prices: readonly unknown[], ports: PortTable, rows: RowBuffer): void {
  for (const price of prices) {
    const text = encoder.encode(jsonOf(price))
    takeObject(price, text, 0, text.length, ports, rows)
  }
  rows.sumAccepted(ports)
}

/**
 * Reads a flat object without escapes: what it has (ALL, STRAY, NUMBER; null is nothing), and where into `spans` and
 * `stray`. 0: the careful way has to look. It takes any byte in a text: what is not ALL has to be looked at for control
 * characters, which JSON does not allow there.
 */
function fastObject(body: Uint8Array, start: number, end: number): number {
  let at = skipSpace(body, start, end)
  if (body[at++] !== 0x7b) return 0
  let seen = 0
  let nulls = 0
  for (;;) {
    at = skipSpace(body, at, end)
    if (body[at++] !== QUOTE) return 0
    const key0 = at
    while (at < end && body[at] !== QUOTE) at++
    const key1 = at
    const field = fieldOf(body, key0, at)
    if (field >= 0 && (seen & (1 << field)) !== 0) return 0
    at = skipSpace(body, at + 1, end)
    if (body[at++] !== 0x3a) return 0
    at = skipSpace(body, at, end)
    const value0 = at
    if (field >= 0 && field < 3 && body[at] === QUOTE) {
      spans[field * 2] = ++at
      while (at < end && body[at] !== QUOTE) if (body[at++] === BACKSLASH) return 0
      spans[field * 2 + 1] = at++
    } else if (field === 3 && body[at]! >= 0x31 && body[at]! <= 0x39) {
      while (at < end && body[at]! >= 0x30 && body[at]! <= 0x39) at++
      spans[6] = value0
      spans[7] = at
    }
    if (at === value0 || isFraction(body[at])) {
      // Not as it should be: it is told by what stands there.
      at = scalarEnd(body, value0, end)
      if (at < 0) return 0
      if (field < 0) {
        for (let i = key0; i < key1; i++) if (body[i] === BACKSLASH) return 0
        if ((seen & STRAY) === 0) stray.set([key0, key1])
      } else {
        if (body[value0] === 0x6e) nulls |= 1 << field
        else if (field < 3) seen |= NUMBER << field
        else if (isWhole(body, value0, at)) return 0
        spans[field * 2] = value0
        spans[field * 2 + 1] = at
      }
    }
    seen |= field < 0 ? STRAY : 1 << field
    at = skipSpace(body, at, end)
    if (at >= end) return 0
    const separator = body[at++]
    if (separator === 0x7d) return skipSpace(body, at, end) === end ? seen & ~nulls : 0
    if (separator !== 0x2c) return 0
  }
}

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39
const isFraction = (byte: number | undefined): boolean => byte === 0x2e || byte === 0x65 || byte === 0x45

/** Where the text without escapes, number or null that starts at `at` ends; -1 for all else. */
function scalarEnd(body: Uint8Array, at: number, end: number): number {
  if (body[at] === QUOTE) {
    for (let i = at + 1; i < end; i++) {
      if (body[i] === QUOTE) return i + 1
      if (body[i] === BACKSLASH) return -1
    }
    return -1
  }
  if (body[at] === 0x6e) return body[at + 1] === 0x75 && body[at + 2] === 0x6c && body[at + 3] === 0x6c ? at + 4 : -1
  let p = body[at] === 0x2d ? at + 1 : at
  if (!isDigit(body[p])) return -1
  if (body[p] === 0x30) p++
  else while (isDigit(body[p])) p++
  if (body[p] === 0x2e) {
    if (!isDigit(body[++p])) return -1
    while (isDigit(body[p])) p++
  }
  return body[p] === 0x65 || body[p] === 0x45 ? -1 : p
}

/** Whether a number is whole though it has a fraction: 12.0 is. */
function isWhole(body: Uint8Array, start: number, end: number): boolean {
  let point = start
  while (point < end && body[point] !== 0x2e) point++
  if (point === end) return false
  for (let i = point + 1; i < end; i++) if (body[i] !== 0x30) return false
  return true
}

function skipSpace(body: Uint8Array, at: number, end: number): number {
  while (at < end && (body[at] === 0x20 || body[at] === 0x09)) at++
  return at
}

function fieldOf(body: Uint8Array, start: number, end: number): number {
  const name = end - start === 9 ? (body[start] === 0x6f ? 0 : 1) : end - start === 3 ? 2 : end - start === 5 ? 3 : -1
  if (name < 0) return -1
  const expected: string = FIELDS[name as 0 | 1 | 2 | 3]
  for (let i = 0; i < expected.length; i++) if (body[start + i] !== expected.charCodeAt(i)) return -1
  return name
}

function carefulLine(body: Uint8Array, start: number, end: number, ports: PortTable, rows: RowBuffer): void {
  let object: unknown
  try {
    object = JSON.parse(textOf(body, start, end))
  } catch {
    refuseWhole(rows, 'json', body, start, end)
    return
  }
  takeObject(object, body, start, end, ports, rows)
}

/** Takes one object, however it is written as row[start, end): every fault is told apart, the first is recorded. */
function takeObject(
  object: unknown,
  row: Uint8Array,
  start: number,
  end: number,
  ports: PortTable,
  rows: RowBuffer,
): void {
  if (typeof object !== 'object' || object === null || Array.isArray(object)) {
    refuseWhole(rows, 'json', row, start, end)
    return
  }
  const values = object as Record<string, unknown>
  const fail = (field: number, rule: Rule, value: string): void => refuse(rows, field, rule, value, row, start, end)
  const missing = FIELDS.findIndex((field) => values[field] === undefined || values[field] === null)
  if (missing >= 0) return fail(missing + 1, 'missing_field', '')
  const unknown = Object.keys(values).find((key) => !(FIELDS as readonly string[]).includes(key))
  if (unknown !== undefined) return fail(0, 'unknown_field', unknown)
  const notText = FIELDS.slice(0, 3).findIndex((field) => typeof values[field] !== 'string')
  if (notText >= 0) return fail(notText + 1, 'text_expected', jsonOf(values[FIELDS[notText]!]))
  const { price } = values
  // What is no whole number stays as it is, which parsePrice refuses.
  const digits = typeof price === 'number' && Number.isInteger(price) ? BigInt(price).toString() : jsonOf(price)
  const texts = [values['orig_code'], values['dest_code'], values['day'], digits] as string[]
  const encoded = texts.map((text) => encoder.encode(text))
  const bytes = new Uint8Array(encoded.reduce((sum, text) => sum + text.length, 0))
  let offset = 0
  for (const [i, text] of encoded.entries()) {
    bytes.set(text, offset)
    spans[i * 2] = offset
    spans[i * 2 + 1] = offset += text.length
  }
  takeRow(rows, ports, bytes, spans, row, start, end)
}

/** What was parsed, as JSON again; what is nested too deeply for that is told as such. */
function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch {
    return Array.isArray(value) ? '[[…]]' : '{…}'
  }
}

/** Refuses a row whose value is the whole of it. */
function refuseWhole(rows: RowBuffer, rule: Rule, row: Uint8Array, start: number, end: number): void {
  rows.reject(0, rule, row, start, end, start, end)
  rows.digest.addBytes(row, start, end)
}

/** `field`: 0 for the whole row, or its column from 1. */
function refuse(
  rows: RowBuffer,
  field: number,
  rule: Rule,
  value: string,
  row: Uint8Array,
  start: number,
  end: number,
): void {
  rows.reject(field, rule, row, start, end, value)
  rows.digest.addBytes(row, start, end)
}
