import { MAX_REPORTED_TEXT, MAX_REPORTED_VALUE } from './limits.ts'
import { FIELDS, RULES, type Field, type Rejection, type Rule } from './rejection.ts'

const FORMAT = 1
/** Kept from chunk to chunk: enough for nearly any. */
const KEPT = 4 << 20
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const ruleIndex = new Map<Rule, number>(RULES.map((rule, index) => [rule, index]))

/**
 * The bad rows of one chunk, as bytes from the start: an object for each would cost several times what loading a good row
 * costs. The bytes are what batch_chunks.errors holds, compressed: a byte for the format (1), then for each bad row
 *
 *     varint         rows since the one before it, or since the chunk's start
 *     byte           rule (its place in RULES) * 8 + field (0: the row as a whole, 1 to 4: the column)
 *     varint, bytes  the row as it came, in UTF-8 if it was
 *     varint         0: the value follows as varint, bytes; else 1 + its place in the row, and its length as varint
 */
export class RejectionLog {
  /** Bad rows. */
  count = 0
  private buffer = new Uint8Array(1 << 16).fill(FORMAT, 0, 1)
  private length = 1
  private previous = 0
  private readonly counts = new Int32Array(RULES.length)

  reset(): void {
    if (this.buffer.length > KEPT) this.buffer = new Uint8Array(1 << 16)
    this.buffer[0] = FORMAT
    this.length = 1
    this.previous = 0
    this.count = 0
    this.counts.fill(0)
  }

  /** Adds the bad row bytes[start, end), whose value is bytes[from, to) of the same bytes. */
  addSpan(
    row: number,
    field: number,
    rule: Rule,
    bytes: Uint8Array,
    start: number,
    end: number,
    from: number,
    to: number,
  ): void {
    if (end - start > MAX_REPORTED_TEXT || to - from > MAX_REPORTED_VALUE) {
      this.addText(row, field, rule, bytes, start, end, textOf(bytes, from, to, MAX_REPORTED_VALUE))
      return
    }
    this.open(row, field, rule, end - start)
    this.copy(bytes, start, end)
    this.varint(from - start + 1)
    this.varint(to - from)
  }

  /** Adds the bad row bytes[start, end), whose value does not stand in it as it is told. */
  addText(row: number, field: number, rule: Rule, bytes: Uint8Array, start: number, end: number, value: string): void {
    const text =
      end - start > MAX_REPORTED_TEXT ? encoder.encode(textOf(bytes, start, end, MAX_REPORTED_TEXT)) : undefined
    const told = shorten(value, MAX_REPORTED_VALUE)
    this.open(row, field, rule, text?.length ?? end - start, told.length * 3)
    if (text) this.copy(text, 0, text.length)
    else this.copy(bytes, start, end)
    this.varint(0)
    this.ascii(told)
  }

  /** The rows so far; valid until the next one is added. */
  bytes(): Uint8Array {
    return this.buffer.subarray(0, this.length)
  }

  /** {rule: number of bad rows}. */
  rules(): Partial<Record<Rule, number>> {
    const rules: Partial<Record<Rule, number>> = {}
    for (const [index, count] of this.counts.entries()) if (count > 0) rules[RULES[index]!] = count
    return rules
  }

  private open(row: number, field: number, rule: Rule, textLength: number, valueLength = 0): void {
    const needed = this.length + textLength + valueLength + 32
    if (needed > this.buffer.length) {
      const grown = new Uint8Array(Math.max(this.buffer.length * 2, needed))
      grown.set(this.buffer.subarray(0, this.length))
      this.buffer = grown
    }
    const index = ruleIndex.get(rule)!
    this.count++
    this.counts[index]!++
    this.varint(row - this.previous)
    this.previous = row
    this.buffer[this.length++] = index * 8 + field
    this.varint(textLength)
  }

  private varint(value: number): void {
    let rest = value
    while (rest > 127) {
      this.buffer[this.length++] = (rest & 127) | 128
      rest >>>= 7
    }
    this.buffer[this.length++] = rest
  }

  /** Its length and bytes: without the encoder where that can be, for a call of it costs as much as all the rest. */
  private ascii(text: string): void {
    const at = this.length
    this.buffer[this.length++] = text.length // 100 at most
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code < 0x80) this.buffer[this.length++] = code
      else {
        const told = encoder.encode(text)
        this.length = at
        this.varint(told.length)
        this.copy(told, 0, told.length)
        return
      }
    }
  }

  private copy(bytes: Uint8Array, start: number, end: number): void {
    const { buffer } = this
    let at = this.length
    for (let i = start; i < end; i++) buffer[at++] = bytes[i]! // rows are short: a call of set costs more
    this.length = at
  }
}

/** The bad rows that a RejectionLog wrote, one after the other. @throws where it is of another format */
export function* readRejections(bytes: Uint8Array): Generator<Rejection> {
  let at = 1
  const varint = (): number => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!
      value |= (byte & 127) << shift
      if (byte < 128) return value
    }
  }
  if (bytes[0] !== FORMAT) throw new Error(`bad rows in format ${bytes[0]}; this version reads ${FORMAT}`)
  for (let row = 0; at < bytes.length;) {
    row += varint()
    const code = bytes[at++]!
    const textLength = varint()
    const textAt = at
    at += textLength
    const place = varint()
    const valueLength = varint()
    const valueAt = place === 0 ? at : textAt + place - 1
    if (place === 0) at += valueLength
    const field: Field | null = FIELDS[(code & 7) - 1] ?? null
    const [text, value] = [decode(bytes, textAt, textLength), decode(bytes, valueAt, valueLength)]
    yield { row, field, value, rule: RULES[code >> 3]!, text }
  }
}

const decode = (bytes: Uint8Array, at: number, length: number): string =>
  decoder.decode(bytes.subarray(at, at + length))

const shorten = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text)

/** The start of a long text: no character takes more than four bytes, or three for each unit of a string's length. */
const textOf = (bytes: Uint8Array, start: number, end: number, most: number): string =>
  shorten(decoder.decode(bytes.subarray(start, Math.min(end, start + most * 4))), most)
