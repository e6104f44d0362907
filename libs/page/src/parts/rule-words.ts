import { type Rule } from '@rates/core/rejection'

const WORDS: Record<Rule, string> = {
  columns: 'not the columns orig_code, dest_code, day, price',
  quotes: 'a quoted field that does not end, or text after its end',
  json: 'not a JSON object',
  missing_field: 'a field is missing',
  unknown_field: 'a field that prices do not have',
  text_expected: 'not a text',
  unknown_port: 'no such port',
  not_a_date: 'not a day as 2026-11-21',
  date_out_of_range: 'not from 1970 to 2199',
  not_a_whole_number: 'not a whole number',
  price_out_of_range: 'not from 1 to 2147483647',
  row_too_long: 'longer than 65 536 bytes',
}

/** What is wrong with a row that breaks the rule. */
export const ruleWords = (rule: Rule): string => WORDS[rule] ?? rule
