import { formatDay, MAX_RANGE_DAYS, parseDay } from '@rates/core/rates-query'

/** What the explorer shows, as its address says; days are `2026-11-21`. */
export interface ExploreQuery {
  orig: string
  dest: string
  from: string
  to: string
  /** Whose batches are shown. */
  day: string | null
}

/** The days that a price may have. */
export const FIRST_DAY = '1970-01-01'
export const LAST_DAY = '2199-12-31'

export const SPANS = [
  { name: '1 month', days: 30 },
  { name: '3 months', days: 90 },
  { name: '1 year', days: 365 },
  { name: '10 years', days: MAX_RANGE_DAYS },
] as const
const DEFAULT_SPAN = 90

export const dayOf = (milliseconds: number): string => formatDay(Math.floor(milliseconds / 86_400_000))

export const daysLater = (day: string, days: number): string => formatDay(parseDay(day)! + days)

/** How many days there are from one to the other, both counted. */
export const lengthOf = (from: string, to: string): number => parseDay(to)! - parseDay(from)! + 1

/** The last `days` days that end with one. */
export const until = (to: string, days: number): { from: string; to: string } => ({
  from: clamp(daysLater(to, 1 - days)),
  to,
})

/** What an address leaves out, or has wrong, is the last three months. */
export function readQuery(query: URLSearchParams, today: string): ExploreQuery {
  const day = (name: string): string | undefined => {
    const text = query.get(name) ?? ''
    return text.length === 10 && isPriceDay(text) ? text : undefined
  }
  const [from, to] = [day('from'), day('to')]
  const end = to ?? (from === undefined ? today : daysLater(from, DEFAULT_SPAN - 1))
  return {
    orig: query.get('orig') ?? '',
    dest: query.get('dest') ?? '',
    from: from ?? until(end, DEFAULT_SPAN).from,
    to: clamp(end),
    day: day('day') ?? null,
  }
}

export function writeQuery({ orig, dest, from, to, day }: ExploreQuery): string {
  const query = new URLSearchParams()
  if (orig !== '') query.set('orig', orig)
  if (dest !== '') query.set('dest', dest)
  query.set('from', from)
  query.set('to', to)
  if (day !== null && day >= from && day <= to) query.set('day', day)
  return `explore?${String(query)}`
}

/** Why a range cannot be asked for, in a sentence. */
export function faultOfRange({ from, to }: Pick<ExploreQuery, 'from' | 'to'>): string | null {
  const days = lengthOf(from, to)
  if (days < 1) return 'The last day lies before the first one.'
  if (days > MAX_RANGE_DAYS) return `These are ${days} days; ${MAX_RANGE_DAYS} (ten years) can be asked for at once.`
  return null
}

/** The call of the API behind a view; `more` are parameters of it. */
export function ratesPath(
  { orig, dest, from, to }: Omit<ExploreQuery, 'day'>,
  more: Record<string, string> = {},
): string {
  const query = new URLSearchParams({ date_from: from, date_to: to, orig_code: orig, dest_code: dest, ...more })
  return `rates?${String(query)}`
}

export const isPriceDay = (text: string): boolean =>
  parseDay(text) !== undefined && text >= FIRST_DAY && text <= LAST_DAY

const clamp = (day: string): string => (day < FIRST_DAY ? FIRST_DAY : day > LAST_DAY ? LAST_DAY : day)
