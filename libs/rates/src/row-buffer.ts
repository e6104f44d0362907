import { DigestSum } from './digest.ts'
import { MAX_CHUNK_ROWS } from './limits.ts'
import { type PortTable } from './port-table.ts'
import { readRejections, RejectionLog } from './rejection-log.ts'
import { type Rejection, type Rule } from './rejection.ts'

/** A chunk held more rows than a chunk may (32 767). */
export class TooManyRows extends Error {
  constructor() {
    super(`more than ${MAX_CHUNK_ROWS} rows in one chunk`)
    this.name = 'TooManyRows'
  }
}

/**
 * The rows of one chunk, a column each, reused from chunk to chunk so that a worker's memory does not follow its input.
 * Good rows stand in the columns; bad rows are in `errors`; `rows` counts both.
 */
export class RowBuffer {
  readonly orig = new Int32Array(MAX_CHUNK_ROWS)
  readonly dest = new Int32Array(MAX_CHUNK_ROWS)
  /** month * 32 + day of the month, both from 0, months from January 1970. */
  readonly day = new Int32Array(MAX_CHUNK_ROWS)
  readonly price = new Int32Array(MAX_CHUNK_ROWS)
  readonly errors = new RejectionLog()
  readonly digest = new DigestSum()
  /** Data rows seen, good and bad. */
  rows = 0
  /** Good rows: the length of the columns. */
  accepted = 0

  reset(): void {
    this.errors.reset()
    this.digest.reset()
    this.rows = 0
    this.accepted = 0
  }

  accept(orig: number, dest: number, day: number, price: number): void {
    if (this.rows === MAX_CHUNK_ROWS) throw new TooManyRows()
    const at = this.accepted++
    this.orig[at] = orig
    this.dest[at] = dest
    this.day[at] = day
    this.price[at] = price
    this.rows++
  }

  /**
   * Takes the bad row bytes[start, end). `field`: 0 for the whole of it, or its column from 1; `value`: told as it is, or
   * where it stands in the same bytes.
   */
  reject(
    field: number,
    rule: Rule,
    bytes: Uint8Array,
    start: number,
    end: number,
    value: string | number,
    valueEnd = 0,
  ): void {
    if (this.rows === MAX_CHUNK_ROWS) throw new TooManyRows()
    if (typeof value === 'string') this.errors.addText(this.rows, field, rule, bytes, start, end, value)
    else this.errors.addSpan(this.rows, field, rule, bytes, start, end, value, valueEnd)
    this.rows++
  }

  /** Adds the good rows to the digest: called once, after the parser is through. */
  sumAccepted(ports: PortTable): void {
    const { orig, dest, day, price, digest } = this
    for (let i = 0; i < this.accepted; i++) digest.addRow(ports.words, orig[i]! * 4, dest[i]! * 4, day[i]!, price[i]!)
  }

  /** Bad rows. */
  get rejected(): number {
    return this.errors.count
  }

  /** The first bad rows, all of them if no number is given. */
  rejections(most = Infinity): Rejection[] {
    const found: Rejection[] = []
    for (const rejection of readRejections(this.errors.bytes())) {
      if (found.length >= most) break
      found.push(rejection)
    }
    return found
  }

  /** {rule: number of bad rows}. */
  rules(): Partial<Record<Rule, number>> {
    return this.errors.rules()
  }
}
