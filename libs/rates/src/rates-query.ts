/** Longest range that one request may ask for, in days (ten years). */
export const MAX_RANGE_DAYS = 3660
/** And where the batches behind each day are asked for. */
export const MAX_EXPLAINED_DAYS = 366

/** What `GET /rates` asks for. Days are numbers from 1970-01-01 (day 0), both ends belong to the range. */
export interface RatesQuery {
  readonly from: number
  readonly to: number
  readonly origin: string
  readonly destination: string
  /** Name the batches behind each day. */
  readonly explain: boolean
  /** Undefined where the parameter says nothing. */
  readonly format: 'json' | 'csv' | undefined
}

/** The texts of the original service, which are part of the contract, and those for what it did not have. */
export type RatesQueryFault =
  | 'Invalid date arguments'
  | 'Invalid location arguments'
  | 'Invalid explain argument'
  | 'Range too long'
  | 'Invalid format argument'

/** A query string as HTTP frameworks hand it over: a repeated parameter is an array. */
export type QueryParameters = Readonly<Record<string, unknown>>

/** Reads the parameters of `GET /rates`. Dates are checked before places, places before the rest, in this order. */
export function readRatesQuery(parameters: QueryParameters): RatesQuery | RatesQueryFault {
  const from = parseDay(first(parameters['date_from']))
  const to = parseDay(first(parameters['date_to']))
  if (from === undefined || to === undefined) return 'Invalid date arguments'
  const origin = first(parameters['orig_code'])
  const destination = first(parameters['dest_code'])
  if (origin === '' || destination === '') return 'Invalid location arguments'
  const explain = EXPLAIN.get(first(parameters['explain']))
  if (explain === undefined) return 'Invalid explain argument'
  if (to - from + 1 > (explain ? MAX_EXPLAINED_DAYS : MAX_RANGE_DAYS)) return 'Range too long'
  const format = first(parameters['format'])
  if (!isFormat(format)) return 'Invalid format argument'
  return { from, to, origin, destination, explain, format: format === '' ? undefined : format }
}

const isFormat = (text: string): text is 'json' | 'csv' | '' => text === '' || text === 'json' || text === 'csv'

const EXPLAIN: ReadonlyMap<string, boolean> = new Map([
  ['', false],
  ['false', false],
  ['true', true],
])

/** Of a repeated parameter the first counts; what is missing reads as empty. */
function first(value: unknown): string {
  const one: unknown = Array.isArray(value) ? value[0] : value
  return typeof one === 'string' ? one : ''
}

// What strptime takes for %Y-%m-%d: four digits of year, one or two of month and day, a day may be padded by a space.
const DATE = /^([0-9]{4})-(1[0-2]|0?[1-9])-(3[01]|[12][0-9]|[0 ]?[1-9])$/
const MS_PER_DAY = 86_400_000

/** The day's number from 1970-01-01, negative before it; undefined for what is no day from 0001-01-01 to 9999-12-31. */
export function parseDay(text: string): number | undefined {
  const match = DATE.exec(text)
  if (match === null) return undefined
  const year = Number(match[1])
  const month = Number(match[2])
  const dayOfMonth = Number(match[3])
  if (year === 0) return undefined
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, dayOfMonth) // Date.UTC would read the years 0 to 99 as 19xx
  return date.getUTCDate() === dayOfMonth ? date.getTime() / MS_PER_DAY : undefined
}

/** `YYYY-MM-DD` of a day's number. */
export function formatDay(day: number): string {
  return new Date(day * MS_PER_DAY).toISOString().slice(0, 10)
}
