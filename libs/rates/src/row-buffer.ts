import { DigestSum } from './digest.ts'
import { MAX_CHUNK_ROWS } from './limits.ts'
import { type PortTable } from './port-table.ts'
import { type Rejection } from './rejection.ts'

/** A chunk held more rows than a chunk may (32 767). */
export class TooManyRows extends Error {
  constructor() {
    super(`more than ${MAX_CHUNK_ROWS} rows in one chunk`)
    this.name = 'TooManyRows'
  }
}

/**
 * The rows of one chunk, a column each, reused from chunk to chunk so that a worker's memory does not follow its input.
 * Good rows stand in the columns; bad rows are in `rejections`; `rows` counts both.
 */
export class RowBuffer {
  readonly orig = new Int32Array(MAX_CHUNK_ROWS)
  readonly dest = new Int32Array(MAX_CHUNK_ROWS)
  /** month * 32 + day of the month, both from 0, months from January 1970. */
  readonly day = new Int32Array(MAX_CHUNK_ROWS)
  readonly price = new Int32Array(MAX_CHUNK_ROWS)
  readonly rejections: Rejection[] = []
  readonly digest = new DigestSum()
  /** Data rows seen, good and bad. */
  rows = 0
  /** Good rows: the length of the columns. */
  accepted = 0

  reset(): void {
    this.rejections.length = 0
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

  reject(rejection: Rejection): void {
    if (this.rows === MAX_CHUNK_ROWS) throw new TooManyRows()
    this.rejections.push(rejection)
    this.rows++
  }

  /** Adds the good rows to the digest: called once, after the parser is through. */
  sumAccepted(ports: PortTable): void {
    const { orig, dest, day, price, digest } = this
    for (let i = 0; i < this.accepted; i++) digest.addRow(ports.words, orig[i]! * 4, dest[i]! * 4, day[i]!, price[i]!)
  }

  /** {rule: number of bad rows}. */
  rules(): Record<string, number> {
    const rules: Record<string, number> = {}
    for (const { rule } of this.rejections) rules[rule] = (rules[rule] ?? 0) + 1
    return rules
  }
}
