import { type Batch, type Reply } from '@rates/core/batch'
import { type Rule } from '@rates/core/rejection'
import { EXIT } from './exit.ts'
import { count, duration } from './progress.ts'
import { indent, plural, printable, shellWord, table, utc } from './text.ts'

/** What the sender knows beside the reply. */
export interface Sending {
  /** The file's name, or that it was standard input. */
  name: string
  /** Seconds from the last chunk's acknowledgement to the batch being visible; undefined: it was sent elsewhere. */
  visibleSeconds: number | undefined
  /** The reply was given before this batch was sent: it is of an earlier sending. */
  repeated: boolean
  /** Why nothing of it is visible any more, though it succeeded. */
  hidden: string | undefined
  /** Of the API, if it is known. */
  url: string | undefined
  /** Where visibleSeconds begin; by default when the last of it was sent. */
  since?: string | undefined
  /** Told with a success, too: for one of several batches. */
  label?: string | undefined
}

const RULES: Record<Rule, string> = {
  columns: 'a row has the columns orig_code,dest_code,day,price',
  quotes: 'a quoted field has to end before a comma or the end of the row',
  json: 'a line is one JSON object',
  missing_field: 'all four fields have to be there',
  unknown_field: 'no other fields than the four',
  text_expected: 'codes and days are JSON strings',
  unknown_port: 'no port has this code; it can be added: rates ports import FILE.csv, or PUT /ports/CODE',
  not_a_date: 'a day is written YYYY-MM-DD and is in the calendar',
  date_out_of_range: 'days go from 1970-01-01 to 2199-12-31',
  not_a_whole_number: 'a price is a whole number',
  price_out_of_range: 'prices go from 1 to 2147483647',
  row_too_long: 'a row has at most 65536 bytes',
}

export const RULE_NAMES = Object.keys(RULES)

export function exitCodeOf({ state }: Pick<Reply, 'state'>): number {
  return state === 'succeeded' ? EXIT.done : state === 'cancelled' ? EXIT.cancelled : EXIT.refused
}

/** The reply in words, several lines where rows were rejected. */
export function describeReply(reply: Reply, sending: Sending): string {
  if (reply.state === 'succeeded') return describeSuccess(reply, sending)
  const { code, message } = reply.error ?? { code: reply.state, message: 'no reason is given' }
  const words = printable(message, 500)
  // Of an object the platform says by itself which one it is.
  const said = words.includes(sending.name) ? words : `${sending.name}: ${words}`
  if (reply.state === 'cancelled') return `cancelled: ${said}; nothing of it is visible`
  if (reply.state === 'id_conflict') {
    return [
      `refused (id_conflict): ${said}`,
      `Another batch has the id ${reply.batchId}, and stays as it is; send this one under a new id.`,
    ].join('\n')
  }
  if (reply.state === 'unreadable') return `refused (${printable(code)}): ${said}`
  if (code !== 'rejected_rows') return `failed (${printable(code)}): ${said}`
  return describeRejection(reply, sending)
}

function describeSuccess({ dryRun, rows, chunks, finishedAt }: Reply, sending: Sending): string {
  const { repeated, visibleSeconds: seconds, hidden, label, since: begun = 'the last was sent' } = sending
  const counts = `${plural(rows.accepted, 'row')} in ${plural(chunks ?? 1, 'chunk')}`
  const what = label === undefined ? counts : `${label}: ${counts}`
  if (dryRun) return `succeeded (dry run): ${what}, all of them good; nothing was stored`
  const since = hidden === undefined ? '' : `; ${hidden}`
  if (repeated) return `succeeded before, at ${utc(finishedAt)}: ${what}; sending it again changed nothing${since}`
  if (seconds === undefined) return `succeeded: ${sending.name}: ${what}, at ${utc(finishedAt)}${since}`
  return `succeeded: ${what}, visible ${shortly(seconds)} after ${begun}${since}`
}

/** Of a batch that succeeded, and of which nothing is visible any more. */
export function describeHidden({ state, hiddenAt, replacedBy }: Batch): string | undefined {
  const at = hiddenAt === null ? '' : `, at ${utc(hiddenAt)}`
  if (state === 'reverted') return `reverted since${at}: nothing of it is visible`
  return state === 'replaced' ? `replaced since by ${replacedBy ?? 'another'}${at}` : undefined
}

/** Less than a tenth of a second is not nothing. */
const shortly = (seconds: number): string =>
  seconds < 0.095 ? `${Math.max(seconds, 0.01).toFixed(2)} s` : duration(seconds)

function describeRejection(reply: Reply, { name, url }: Sending): string {
  const { rows, error, errors, dryRun } = reply
  const all = rows.accepted + rows.rejected
  const hidden = dryRun ? 'it was a dry run' : 'nothing of the batch is visible'
  const verb = rows.rejected === 1 ? 'breaks' : 'break'
  return [
    `failed: ${name}: ${count(rows.rejected)} of ${plural(all, 'row')} ${verb} a rule; ${hidden}`,
    '',
    ...indent(describeRules(error?.rules ?? {})),
    '',
    rows.rejected > errors.length
      ? `The first ${errors.length} of them:`
      : `${rows.rejected === 1 ? 'It is' : 'They are'}:`,
    '',
    ...indent(errorTable(errors)),
    '',
    'Rows are counted from 1, without a header line.',
    `All of them, with their text: ${whereErrors(reply, url)}`,
  ].join('\n')
}

/** Rules with their counts, the most frequent first. */
export function describeRules(rules: Partial<Record<string, number>>): string[] {
  const counted = Object.entries(rules).map(([rule, n = 0]) => ({ rule, n }))
  counted.sort((a, b) => b.n - a.n || a.rule.localeCompare(b.rule))
  return table(
    [{ title: '' }, { title: '', right: true }, { title: '' }],
    counted.map(({ rule, n }) => [printable(rule), count(n), RULES[rule as Rule] ?? '']),
  )
}

export interface ShownError {
  /** Null where an earlier chunk is missing, so that nobody knows. */
  row: number | null
  field: string | null
  value: string
  rule: string
}

export function errorTable(errors: readonly ShownError[]): string[] {
  return table(
    [{ title: 'row', right: true }, { title: 'field' }, { title: 'value' }, { title: 'rule' }],
    errors.map(({ row, field, value, rule }) => [
      row === null ? '?' : count(row),
      printable(field ?? '-'),
      printable(value),
      printable(rule),
    ]),
  )
}

/** A command that fetches all bad rows. */
function whereErrors({ batchId, dryRun, links }: Reply, url: string | undefined): string {
  if (url === undefined) return `rates show ${shellWord(batchId)} --errors${dryRun ? ' --dry-run' : ''}`
  return `curl ${shellWord(allErrorsUrl(url, links.errors))}`
}

/** @param link as the API gives it: relative, or with its public address */
export function allErrorsUrl(url: string, link: string): string {
  const address = link.startsWith('/') ? url + link : link
  return `${address}${address.includes('?') ? '&' : '?'}format=csv`
}
