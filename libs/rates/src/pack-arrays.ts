import type { DayTotals } from './daily-rates.ts'

/**
 * The arrays of a pack in the text form that PostgreSQL sends, `{1,2,3}`. Not its binary form: the driver decodes every
 * column as UTF-8 before anyone can ask for bytes. The loop below takes about as long as one over binary arrays would.
 */
export interface PackArrays {
  /** The month's first day, as a day's number from 1970-01-01. */
  readonly month: number
  /** Offsets of days in the month. */
  readonly days: string
  /** For each of them the number of its prices, and their sum. */
  readonly n: string
  readonly s: string
}

/** Adds a pack's days to the totals. Throws if its arrays differ in length or hold anything but whole numbers from 0. */
export function addPack(totals: DayTotals, pack: PackArrays): void {
  const days = new WholeNumbers(pack.days)
  const counts = new WholeNumbers(pack.n)
  const sums = new WholeNumbers(pack.s)
  while (days.next()) {
    if (!counts.next() || !sums.next()) throw new Error('a pack whose arrays differ in length')
    totals.add(pack.month + days.number(), counts.number(), sums.exact())
  }
  if (counts.next() || sums.next()) throw new Error('a pack whose arrays differ in length')
}

const ZERO = 48
const COMMA = 44

/** Walks the elements of an array's text without making a string or an object for each. */
class WholeNumbers {
  readonly #text: string
  readonly #end: number
  #start = 0
  #at = 1
  #value = 0

  constructor(text: string) {
    if (text.length < 2 || text[0] !== '{' || !text.endsWith('}')) throw new Error(`no array: ${text.slice(0, 40)}`)
    this.#text = text
    this.#end = text.length - 1
  }

  /** Goes to the next element; false after the last. */
  next(): boolean {
    if (this.#at >= this.#end) return false
    this.#start = this.#at
    this.#value = 0
    while (this.#at < this.#end) {
      const code = this.#text.charCodeAt(this.#at)
      if (code === COMMA) break
      const digit = code - ZERO
      if (digit < 0 || digit > 9) throw new Error(`not a whole number in an array: ${this.#text.slice(0, 40)}`)
      this.#value = this.#value * 10 + digit
      this.#at++
    }
    this.#at++ // over the comma
    return true
  }

  number(): number {
    return this.#value
  }

  /** As a bigint where a double is not exact any more. */
  exact(): number | bigint {
    if (this.#value <= Number.MAX_SAFE_INTEGER) return this.#value
    return BigInt(this.#text.slice(this.#start, this.#at - 1))
  }
}
