import { type DailyRate, MIN_PRICES } from '@rates/core/daily-rates'
import { parseDay } from '@rates/core/rates-query'
import { count, plural } from '../format.ts'

/** The days of an answer as a chart needs them, the oldest first. */
export interface Series {
  days: string[]
  /** Seconds of their midnights, UTC. */
  times: number[]
  /** Null leaves a gap. */
  averages: (number | null)[]
  /** Numbers of prices of the days that have an average, and of those that have too few for one. */
  enough: (number | null)[]
  few: (number | null)[]
}

export function seriesOf(rates: readonly DailyRate[]): Series {
  const ascending = rates.toReversed()
  const counts = (wanted: boolean) =>
    ascending.map(({ count: prices }) => (prices !== null && prices >= MIN_PRICES === wanted ? prices : null))
  return {
    days: ascending.map(({ day }) => day),
    times: ascending.map(({ day }) => parseDay(day)! * 86_400),
    averages: ascending.map(({ price }) => price),
    enough: counts(true),
    few: counts(false),
  }
}

/** Places of the values without a neighbour: no line goes to them, so that they need a point to be seen. */
export function lonely(values: readonly (number | null)[]): number[] {
  const found: number[] = []
  values.forEach((value, i) => {
    if (value !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null) found.push(i)
  })
  return found
}

/** What a chart shows, in words. */
export function summaryOf(rates: readonly DailyRate[]): string {
  const averages = rates.flatMap(({ price }) => price ?? [])
  const few = rates.filter(({ price, count: prices }) => price === null && prices !== null).length
  const parts = [
    `${count(averages.length)} with an average`,
    `${count(few)} with too few prices for one`,
    `${count(rates.length - averages.length - few)} without any`,
  ]
  const [low, high] = [
    averages.reduce((a, b) => Math.min(a, b), Infinity),
    averages.reduce((a, b) => Math.max(a, b), 0),
  ]
  const span = averages.length === 0 ? '' : ` The averages are ${amount(low)} to ${amount(high)}.`
  return `${plural(rates.length, 'day')}: ${parts.join(', ')}.${span}`
}

/** An average, with two digits after the point where it has any. */
export function amount(value: number): string {
  const [whole, part] = value.toFixed(2).split('.')
  return part === '00' ? count(Number(whole)) : `${count(Number(whole))}.${part}`
}

/** What a day has, in words. */
export function wordsOf({ count: prices, price }: Pick<DailyRate, 'count' | 'price'>): string {
  if (prices === null) return 'no prices'
  const number = plural(prices, 'price')
  return price === null ? `${number}: too few for an average` : `average ${amount(price)} of ${number}`
}
