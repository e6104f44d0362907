import { type Rule } from '@rates/core/rejection'

const WORDS: Record<Rule, string> = {
  columns: 'not the four columns orig_code, dest_code, day, price',
  quotes: 'a quoted field that does not end, or text after its end',
  json: 'not a JSON object',
  missing_field: 'a field is missing',
  unknown_field: 'a field that no price has',
  text_expected: 'a code or a day that is no text',
  unknown_port: 'no port has this code',
  not_a_date: 'not YYYY-MM-DD, or not in the calendar',
  date_out_of_range: 'not from 1970-01-01 to 2199-12-31',
  not_a_whole_number: 'not a whole number',
  price_out_of_range: 'not from 1 to 2147483647',
  row_too_long: 'more than 65 536 bytes',
}

/** What a rule asks for; empty for one that a later version of the service has. */
export const ruleWords = (rule: string): string => (WORDS as Record<string, string>)[rule] ?? ''
