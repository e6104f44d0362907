import { average } from './average.ts'
import { formatDay } from './rates-query.ts'

/** With fewer prices than this, a day's average is not told. */
export const MIN_PRICES = 3

export interface DailyRate {
  readonly count: number | null
  readonly day: string
  readonly price: number | null
}

/** Number and sum of the prices of each day of a range, summed exactly whatever their size. */
export class DayTotals {
  readonly from: number
  readonly length: number
  readonly #counts: number[]
  readonly #sums: number[]
  /** The sums that left the range in which a double is exact; #sums counts no more for them. */
  readonly #large = new Map<number, bigint>()

  /** Both ends belong to the range; a range that ends before it begins has no days. */
  constructor(from: number, to: number) {
    this.from = from
    this.length = Math.max(to - from + 1, 0)
    this.#counts = new Array<number>(this.length).fill(0)
    this.#sums = new Array<number>(this.length).fill(0)
  }

  /** Adds `count` prices of a day; days outside the range do not count. A sum from 2^53 on comes as a bigint. */
  add(day: number, count: number, sum: number | bigint): void {
    const i = day - this.from
    if (i < 0 || i >= this.length) return
    this.#counts[i]! += count
    const large = this.#large.get(i)
    if (large === undefined && typeof sum === 'number') {
      const total = this.#sums[i]! + sum
      if (total <= Number.MAX_SAFE_INTEGER) {
        this.#sums[i] = total
        return
      }
    }
    this.#large.set(i, (large ?? BigInt(this.#sums[i]!)) + BigInt(sum))
  }

  count(day: number): number {
    return this.#counts[day - this.from] ?? 0
  }

  sum(day: number): number | bigint {
    const i = day - this.from
    return this.#large.get(i) ?? this.#sums[i] ?? 0
  }
}

const TWO_DIGITS = Array.from({ length: 32 }, (_, number) => String(number).padStart(2, '0'))

/** One entry for every day of the range, the newest first. */
export function dailyRates(totals: DayTotals): DailyRate[] {
  const rates: DailyRate[] = []
  let month = '' // as 2021-01-; a date is made once a month, for most answers are made of dates
  let dayOfMonth = 0
  for (let day = totals.from + totals.length - 1; day >= totals.from; day--) {
    if (dayOfMonth === 0) {
      const date = formatDay(day)
      month = date.slice(0, 8)
      dayOfMonth = Number(date.slice(8))
    }
    const count = totals.count(day)
    const price = count < MIN_PRICES ? null : average(totals.sum(day), count)
    rates.push({ count: count === 0 ? null : count, day: month + TWO_DIGITS[dayOfMonth--]!, price })
  }
  return rates
}
