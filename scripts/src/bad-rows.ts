import { type BadRow } from '@rates/core/bad-rows'
import { ApiFailure, openApi, readApi, unreachable } from './api.ts'
import { CommandFailure, EXIT } from './exit.ts'
import { errorTable } from './outcome.ts'
import { count } from './progress.ts'
import { Silence } from './silence.ts'
import { plural, shellWord } from './text.ts'

/** As many as are printed as a table. */
const SHOWN = 1000
/** The API reads them chunk by chunk: nothing for so long, while it is waited for, means that nothing comes. */
const SILENCE_MILLISECONDS = 60_000

/** Whose bad rows are asked for. */
export interface BadRowsOf {
  url: string
  id: string
  dryRun: boolean
}

export interface BatchErrors {
  batch: string
  rejected: number
  /** The first 1 000. */
  errors: BadRow[]
}

/** The first 1 000, and how many there are. @throws CommandFailure */
export async function readErrors({ url, id, dryRun }: BadRowsOf): Promise<BatchErrors> {
  const found = await readApi<BatchErrors>(url, pathOf(id, { dryRun }))
  if (!found) throw nothing(id, dryRun)
  return found
}

/**
 * All of them, one after the other. @throws CommandFailure; so do the rows, if the answer breaks off: what came is not
 * all then
 */
export async function openErrors(
  { url, id, dryRun }: BadRowsOf,
  silenceMs = SILENCE_MILLISECONDS,
): Promise<AsyncIterable<BadRow>> {
  const silence = new Silence(silenceMs)
  try {
    const path = pathOf(id, { dryRun, format: 'ndjson' })
    return readRows(url, await silence.during(openApi(url, path, { signal: silence.signal })), silence)
  } catch (error) {
    throw error instanceof ApiFailure && error.status === 404 ? nothing(id, dryRun) : error
  }
}

async function* readRows(url: string, { body }: Response, silence: Silence): AsyncGenerator<BadRow> {
  let rest = ''
  const decoder = new TextDecoder()
  const reader = body?.getReader()
  try {
    for (;;) {
      const read = await (reader && silence.during(reader.read()))
      if (!read || read.done) return
      const lines = (rest + decoder.decode(read.value, { stream: true })).split('\n')
      rest = lines.pop()!
      for (const line of lines) yield JSON.parse(line) as BadRow
    }
  } catch (error) {
    throw unreachable(url, error)
  } finally {
    await reader?.cancel().catch(() => undefined) // whoever reads may have had enough
  }
}

/** Bad rows as a table, the first 1 000 of them. `all` is the command that tells the others. */
export function describeErrors({ rejected, errors }: Pick<BatchErrors, 'rejected' | 'errors'>, all: string): string {
  if (rejected === 0) return 'It has no bad rows.'
  const first = errors.length < rejected ? `The first ${count(errors.length)} of ` : ''
  return [
    ...errorTable(errors),
    '',
    `${first}${plural(rejected, 'bad row')}. Rows are counted from 1, without a header line.`,
    `All of them, with their text: ${all}`,
  ].join('\n')
}

/** The command that tells all. */
export function allErrors(id: string, { dryRun, url }: { dryRun?: boolean; url?: string }): string {
  const words = ['rates errors', shellWord(id), '--format csv']
  if (dryRun) words.push('--dry-run')
  if (url !== undefined) words.push('--url', shellWord(url))
  return words.join(' ')
}

/** Of some rows of a stream: the first 1 000, and how many there are. */
export async function collect(rows: AsyncIterable<BadRow>): Promise<Pick<BatchErrors, 'rejected' | 'errors'>> {
  const errors: BadRow[] = []
  let rejected = 0
  for await (const row of rows) if (++rejected <= SHOWN) errors.push(row)
  return { rejected, errors }
}

function pathOf(id: string, { dryRun, format }: { dryRun: boolean; format?: string }): string {
  const query = new URLSearchParams({ ...(dryRun && { dryRun: 'true' }), ...(format && { format }) })
  return `/batches/${encodeURIComponent(id)}/errors${query.size === 0 ? '' : `?${query.toString()}`}`
}

const nothing = (id: string, dryRun: boolean): CommandFailure =>
  new CommandFailure(EXIT.refused, `There is no ${dryRun ? 'dry run' : 'batch'} ${id}.`)
