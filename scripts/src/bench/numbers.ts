/** The middle one; of an even number the higher of the two in the middle. @throws RangeError for none */
export const median = (values: readonly number[]): number => percentile(values, 50)

/**
 * The smallest value that at least `percent` of the values do not exceed (nearest rank): a value that was measured, not
 * one between two. @throws RangeError for none
 */
export function percentile(values: readonly number[], percent: number): number {
  return ranked(values.toSorted(ascending), percent)
}

const ascending = (a: number, b: number): number => a - b

function ranked(sorted: readonly number[], percent: number): number {
  if (sorted.length === 0) throw new RangeError('there is no percentile of no values')
  if (percent === 50) return sorted[Math.floor(sorted.length / 2)]!
  const rank = Math.ceil((percent / 100) * sorted.length)
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1]!
}

/** In the unit of the values. */
export interface Spread {
  count: number
  p50: number
  p95: number
  p99: number
  max: number
}

/** @throws RangeError for none */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted(ascending)
  return {
    count: sorted.length,
    p50: ranked(sorted, 50),
    p95: ranked(sorted, 95),
    p99: ranked(sorted, 99),
    max: sorted.at(-1)!,
  }
}

/** `1 234 567`. */
export function grouped(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ' ')
}

/** `10 k`, `1 M`, `1.5 M`: as people call the size of a batch. */
export function short(rows: number): string {
  if (rows >= 1e6) return `${trimmed(rows / 1e6)} M`
  return rows >= 1e4 ? `${trimmed(rows / 1e3)} k` : grouped(rows)
}

const trimmed = (value: number): string => String(Number(value.toFixed(2)))

/** Seconds with three digits that matter: `0.62 s`, `8.7 s`, `134 s`. */
export function seconds(value: number): string {
  return `${value < 10 ? value.toFixed(value < 1 ? 3 : 2) : value.toFixed(value < 100 ? 1 : 0)} s`
}

/** `0.9 ms`, `12 ms`. */
export const ms = (value: number): string => `${value < 10 ? value.toFixed(value < 1 ? 2 : 1) : value.toFixed(0)} ms`

export const mib = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`

/** `14.0 x`. */
export const times = (value: number): string => `${value < 10 ? value.toFixed(2) : value.toFixed(1)} x`
