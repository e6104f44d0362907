import { type Batch } from '@rates/core/batch'
import { hasEnded } from './follow-batch.ts'
import { bar, count, duration } from './progress.ts'
import { plural, printable } from './text.ts'

/** What is told of a batch when its state changes; `at` as the API has it. */
export interface Change {
  at: string
  what: string
  details: string[]
}

/**
 * The change that matters between a batch as it was told last, if it was, and as it is; undefined: there is none.
 * `opened` is not told of what has ended already: its end says enough.
 */
export function changeOf(batch: Batch, before: Batch['state'] | undefined): Change | undefined {
  const { state, source, createdAt, finishedAt, hiddenAt } = batch
  if (state === before || (before !== undefined && !hasEnded(batch))) return undefined
  if (!hasEnded(batch)) return { at: createdAt, what: 'opened', details: aboutOpen(batch) }
  const at = (state === 'reverted' || state === 'replaced' ? hiddenAt : finishedAt) ?? createdAt
  // Whoever was told of its opening knows whose it is.
  const whose = before === undefined && source !== null ? [printable(source)] : []
  return { at, what: state, details: [...whose, ...aboutEnd(batch)] }
}

function aboutOpen({ source, deadline, slackSeconds, replaces, retryOf }: Batch): string[] {
  return [
    ...(source === null ? [] : [printable(source)]),
    ...(replaces === null ? [] : [`replaces ${replaces}`]),
    ...(retryOf === null ? [] : [`runs ${retryOf} again`]),
    ...(deadline === null ? [] : [`deadline ${clock(deadline)}`]),
    ...(slackSeconds === null ? [] : [slackOf(slackSeconds)]),
  ]
}

function aboutEnd(batch: Batch): string[] {
  const { state, rows, chunks, createdAt, finishedAt, slackSeconds, error, replacedBy } = batch
  if (state === 'replaced') return [`by ${replacedBy ?? 'another'}`, `${plural(rows.accepted, 'row')} are hidden`]
  if (state === 'reverted') return [`${plural(rows.accepted, 'row')} are hidden`]
  const took = finishedAt === null ? [] : [duration(Math.max(Date.parse(finishedAt) - Date.parse(createdAt), 0) / 1000)]
  const slack = slackSeconds === null ? [] : [slackOf(slackSeconds)]
  if (state !== 'succeeded') {
    return [
      error ? `${printable(error.code)}: ${printable(error.message, 200)}` : 'no reason is given',
      ...took,
      ...slack,
    ]
  }
  return [`${plural(rows.accepted, 'row')} in ${plural(chunks.expected ?? chunks.done, 'chunk')}`, ...took, ...slack]
}

const slackOf = (seconds: number): string =>
  seconds < 0 ? `${duration(-seconds)} too late` : `${duration(seconds)} to spare`

/** `08:00:02Z  failed     acme-1  rejected_rows: 3 of 4 rows, 0.1 s`. */
export const changeLine = (batch: Batch, { at, what, details }: Change): string =>
  `${clock(at)}  ${what.padEnd(9)}  ${[nameOf(batch), details.join(', ')].filter((part) => part !== '').join('  ')}`

const nameOf = ({ id, dryRun }: Batch): string => `${id}${dryRun ? ' (dry run)' : ''}`

const clock = (time: string): string => `${new Date(time).toISOString().slice(11, 19)}Z`

/** Those that load, a line each with as many as fit; the oldest first. */
export function liveLines(open: readonly Batch[], most: number, now: number): string[] {
  if (open.length === 0) return []
  const shown = open.length > most ? open.slice(0, Math.max(most - 1, 0)) : open
  const width = Math.max(...shown.map((batch) => nameOf(batch).length), 0)
  const lines = shown.map((batch) => liveLine(batch, width, now))
  const rest = open.length - shown.length
  return rest === 0 ? lines : [...lines, `and ${plural(rest, 'other batch').replace(/batchs$/, 'batches')}`]
}

function liveLine(batch: Batch, width: number, now: number): string {
  const { progress, rows, rowsPerSecond, etaAt, slackSeconds, state } = batch
  const parts = [nameOf(batch).padEnd(width)]
  if (progress !== null) parts.push(bar(progress), `${Math.floor(progress * 100)} %`.padStart(5))
  parts.push(state === 'pending' ? 'waiting for a worker' : `${count(rows.accepted + rows.rejected)} rows`)
  if (rows.rejected > 0) parts.push(`${count(rows.rejected)} bad`)
  if (rowsPerSecond !== null && state !== 'pending') parts.push(`${count(rowsPerSecond)} rows/s`)
  if (etaAt !== null) parts.push(`${duration(Math.max(Date.parse(etaAt) - now, 0) / 1000)} left`)
  if (slackSeconds !== null) parts.push(slackOf(slackSeconds))
  return parts.join('  ')
}
