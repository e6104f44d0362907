import { MONTHS, postgresDayOfMonth } from '@rates/core/months'

/** The columns of price_packs in the order in which PackReader expects them. */
export const READ_COLUMNS = 'batch_no, orig, dest, month, days, n, s, prices, batches, batch_n'

const FIELDS = 10
const HEADER_BYTES = 19

/** An array column of the pack in hand; its memory is used again for the next one. */
class NumberArray {
  values: Float64Array | Int32Array
  length = 0
  /** False if it is no flat array of numbers: null, of more dimensions, or with nulls in it. */
  valid = false
  private readonly width: 2 | 4 | 8

  constructor(width: 2 | 4 | 8) {
    this.width = width
    this.values = width === 8 ? new Float64Array(32) : new Int32Array(32)
  }

  read(view: DataView, at: number, bytes: number): void {
    this.length = 0
    this.valid = false
    if (bytes < 0) return
    const dimensions = view.getInt32(at)
    this.valid = dimensions === 0 || (dimensions === 1 && view.getInt32(at + 4) === 0)
    if (!this.valid || dimensions === 0) return
    const length = view.getInt32(at + 12)
    if (length > this.values.length) {
      const room = 2 ** Math.ceil(Math.log2(length))
      this.values = this.width === 8 ? new Float64Array(room) : new Int32Array(room)
    }
    const { values } = this
    this.length = length
    at += 20
    if (this.width === 4) {
      for (let i = 0; i < length; i++, at += 8) values[i] = view.getInt32(at + 4)
    } else if (this.width === 2) {
      for (let i = 0; i < length; i++, at += 6) values[i] = view.getInt16(at + 4)
    } else {
      for (let i = 0; i < length; i++, at += 12)
        values[i] = view.getInt32(at + 4) * 0x1_0000_0000 + view.getUint32(at + 8)
    }
  }
}

/**
 * Reads packs out of `copy … to stdout (format binary)`, one at a time into its own fields: hundreds of millions of
 * prices pass through the memory of the largest pack. (As rows of the driver they would be texts to be parsed.)
 */
export class PackReader {
  batchNo = 0
  orig = 0
  dest = 0
  /** From January 1970, or -1: not the first day of a month of ours. */
  month = 0
  readonly days = new NumberArray(2)
  readonly n = new NumberArray(4)
  readonly s = new NumberArray(8)
  readonly prices = new NumberArray(4)
  readonly batches = new NumberArray(8)
  readonly batchN = new NumberArray(4)
  /** True if batches is there: the pack was merged. */
  merged = false

  private bytes = new Uint8Array(1 << 18)
  private view = new DataView(this.bytes.buffer)
  private start = 0
  private end = 0
  private headed = false

  /** Takes a piece of the stream; next() is called until it says false before the next piece. */
  push(piece: Uint8Array): void {
    if (this.end + piece.length > this.bytes.length) {
      const held = this.bytes.subarray(this.start, this.end)
      const needed = held.length + piece.length
      if (needed > this.bytes.length) this.bytes = new Uint8Array(2 ** Math.ceil(Math.log2(needed)))
      this.bytes.set(held)
      this.view = new DataView(this.bytes.buffer)
      this.end = held.length
      this.start = 0
    }
    this.bytes.set(piece, this.end)
    this.end += piece.length
  }

  /** Reads the next pack into the fields. @returns false if all of it is not there yet, or it was the last one */
  next(): boolean {
    const { view, end } = this
    if (!this.headed) {
      if (end - this.start < HEADER_BYTES) return false
      this.start += HEADER_BYTES + view.getInt32(this.start + 15)
      this.headed = true
    }
    const from = this.start
    if (end - from < 2) return false
    const fields = view.getInt16(from)
    if (fields === -1) return false
    if (fields !== FIELDS) throw new Error(`a pack with ${fields} columns instead of ${FIELDS}`)
    let at = from + 2
    for (let field = 0; field < FIELDS; field++) {
      if (end - at < 4) return false
      at += 4 + Math.max(0, view.getInt32(at))
    }
    if (at > end) return false
    this.start = at
    this.read(from + 2)
    return true
  }

  private read(at: number): void {
    const { view } = this
    this.batchNo = view.getInt32(at + 4) * 0x1_0000_0000 + view.getUint32(at + 8)
    this.orig = view.getInt32(at + 16)
    this.dest = view.getInt32(at + 24)
    this.month = monthOf(view.getInt32(at + 32))
    at += 36
    for (const array of [this.days, this.n, this.s, this.prices, this.batches, this.batchN]) {
      const bytes = view.getInt32(at)
      array.read(view, at + 4, bytes)
      if (array === this.batches) this.merged = bytes >= 0
      at += 4 + Math.max(0, bytes)
    }
  }
}

const months = new Map(Array.from({ length: MONTHS }, (_, month) => [postgresDayOfMonth(month), month]))
const monthOf = (postgresDay: number): number => months.get(postgresDay) ?? -1
