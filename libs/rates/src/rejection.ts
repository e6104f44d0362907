/** Why a row is refused. Closed: docs/wire.md lists them for senders. Their places are stored: new ones go to the end. */
export const RULES = [
  'columns', // not the four columns orig_code, dest_code, day, price
  'quotes', // a quoted field that does not end, or text after its end
  'json', // not a JSON object
  'missing_field',
  'unknown_field',
  'text_expected', // a code or a day that is no JSON string
  'unknown_port',
  'not_a_date', // not YYYY-MM-DD, or not in the calendar
  'date_out_of_range', // not 1970-01-01 to 2199-12-31
  'not_a_whole_number',
  'price_out_of_range', // not 1 to 2147483647
  'row_too_long', // more than 65 536 bytes
] as const
export type Rule = (typeof RULES)[number]

/** In the order of the columns. */
export const FIELDS = ['orig_code', 'dest_code', 'day', 'price'] as const
export type Field = (typeof FIELDS)[number]

/** One bad row: the first fault in it. `row` counts the chunk's data rows from 0. */
export interface Rejection {
  row: number
  field: Field | null
  /** Shortened to 100 characters. */
  value: string
  rule: Rule
  /** The row as it came, shortened to 1 000 characters. */
  text: string
}
