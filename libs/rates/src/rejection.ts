import { MAX_REPORTED_TEXT, MAX_REPORTED_VALUE } from './limits.ts'

/** Why a row is refused. Closed: docs/wire.md lists them for senders. */
export type Rule =
  | 'columns' // not the four columns orig_code, dest_code, day, price
  | 'quotes' // a quoted field that does not end, or text after its end
  | 'json' // not a JSON object
  | 'missing_field'
  | 'unknown_field'
  | 'text_expected' // a code or a day that is no JSON string
  | 'unknown_port'
  | 'not_a_date' // not YYYY-MM-DD, or not in the calendar
  | 'date_out_of_range' // not 1970-01-01 to 2199-12-31
  | 'not_a_whole_number'
  | 'price_out_of_range' // not 1 to 2147483647

export type Field = 'orig_code' | 'dest_code' | 'day' | 'price'

/** One bad row: the first fault in it. `row` counts the chunk's data rows from 0. */
export interface Rejection {
  row: number
  field: Field | null
  value: string
  rule: Rule
  /** The row as it came, shortened to 1 000 characters. */
  text: string
}

const shorten = (text: string, length: number): string =>
  text.length > length ? `${text.slice(0, length - 1)}…` : text

export function rejection(row: number, field: Field | null, value: string, rule: Rule, text: string): Rejection {
  return { row, field, value: shorten(value, MAX_REPORTED_VALUE), rule, text: shorten(text, MAX_REPORTED_TEXT) }
}
