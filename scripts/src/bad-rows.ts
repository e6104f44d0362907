import { type BadRow } from '@rates/core/bad-rows'
import { ApiFailure, openApi, readApi, unreachable } from './api.ts'
import { CommandFailure, EXIT } from './exit.ts'
import { errorTable } from './outcome.ts'
import { count } from './progress.ts'
import { plural, shellWord } from './text.ts'

/** As many as are printed as a table. */
const SHOWN = 1000
/** The API reads them chunk by chunk: nothing for so long means that nothing comes. */
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
export async function openErrors({ url, id, dryRun }: BadRowsOf): Promise<AsyncIterable<BadRow>> {
  const over = new AbortController()
  const silence = setTimeout(() => over.abort(new Error('it sends nothing')), SILENCE_MILLISECONDS)
  try {
    const answer = await openApi(url, pathOf(id, { dryRun, format: 'ndjson' }), { signal: over.signal })
    return readRows(
      url,
      answer,
      () => silence.refresh(),
      () => clearTimeout(silence),
    )
  } catch (error) {
    clearTimeout(silence)
    throw error instanceof ApiFailure && error.status === 404 ? nothing(id, dryRun) : error
  }
}

async function* readRows(
  url: string,
  { body }: Response,
  onBytes: () => void,
  onEnd: () => void,
): AsyncGenerator<BadRow> {
  let rest = ''
  const decoder = new TextDecoder()
  try {
    for await (const bytes of body ?? []) {
      onBytes()
      const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n')
      rest = lines.pop()!
      for (const line of lines) yield JSON.parse(line) as BadRow
    }
  } catch (error) {
    throw unreachable(url, error)
  } finally {
    onEnd()
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
