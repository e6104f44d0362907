import { type Batch } from '@rates/core/batch'
import { describeRules } from './outcome.ts'
import { count, duration, megabytes } from './progress.ts'
import { indent, plural, printable, table, utc } from './text.ts'

/** Batches as a table, a line each. */
export function listBatches(batches: readonly Batch[]): string[] {
  return table(
    [
      { title: 'batch' },
      { title: 'state' },
      { title: 'source' },
      { title: 'rows', right: true },
      { title: 'rejected', right: true },
      { title: 'took', right: true },
      { title: 'created' },
      { title: 'error' },
    ],
    batches.map((batch) => [
      batch.id,
      stateOf(batch),
      batch.source === null ? '-' : printable(batch.source, 24),
      count(batch.rows.accepted + batch.rows.rejected),
      batch.rows.rejected === 0 ? '-' : count(batch.rows.rejected),
      batch.finishedAt === null ? '-' : duration(secondsBetween(batch.createdAt, batch.finishedAt)),
      utc(batch.createdAt),
      batch.error === null ? '' : printable(batch.error.code),
    ]),
  )
}

function stateOf({ state, progress, dryRun }: Batch): string {
  const part = state === 'in_progress' && progress !== null ? ` ${Math.floor(progress * 100)} %` : ''
  return `${state}${part}${dryRun ? ' (dry run)' : ''}`
}

/** The clocks of broker and database may differ a little: nothing takes less than no time. */
const secondsBetween = (from: string, to: string): number => Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000)

/** One batch as a page: a line for each thing that is known. */
export function describeBatch(batch: Batch): string[] {
  const { chunks, rows, phases, error } = batch
  const known: [string, string | null][] = [
    ['batch', batch.id],
    ['state', stateOf(batch)],
    ['source', text(batch.source)],
    ['replaces', batch.replaces],
    ['replaced by', batch.replacedBy],
    ['runs again', batch.retryOf],
    ['correlation', text(batch.correlationId)],
    ['rows', describeRows(rows)],
    [
      'chunks',
      `${count(chunks.done)} of ${chunks.expected === null ? '?' : count(chunks.expected)}, ${megabytes(batch.bytes)}`,
    ],
    ['created', utc(batch.createdAt)],
    ['started', batch.startedAt && utc(batch.startedAt)],
    ['finished', batch.finishedAt && utc(batch.finishedAt)],
    ['expected', batch.etaAt && utc(batch.etaAt)],
    ['phases', describePhases(phases)],
    ['speed', batch.rowsPerSecond === null ? null : `${count(batch.rowsPerSecond)} rows/s`],
    ['deadline', batch.deadline && describeDeadline(batch.deadline, batch.slackSeconds)],
    ['workers', batch.workers.length === 0 ? null : batch.workers.map((each) => printable(each)).join(', ')],
    ['attempts', batch.attempts > 1 ? `a chunk was tried ${batch.attempts} times` : null],
    ['memory', batch.peakMemoryBytes === null ? null : `${megabytes(batch.peakMemoryBytes)} in a worker at most`],
    ['log', text(batch.log)],
    ['trace', batch.traceId],
    ['digest', batch.digest],
    ['hidden', batch.hiddenAt && utc(batch.hiddenAt)],
    ['purged', batch.purgedAt && utc(batch.purgedAt)],
    ['error', error && `${printable(error.code)}: ${printable(error.message, 500)}`],
  ]
  const lines = table(
    [{ title: '' }, { title: '' }],
    known.flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
  )
  if (error?.rules) lines.push('', ...indent(describeRules(error.rules)))
  return lines
}

const text = (value: string | null): string | null => value && printable(value, 200)

function describeRows({ accepted, rejected, expected }: Batch['rows']): string {
  const parts = [`${count(accepted)} accepted`, `${count(rejected)} rejected`]
  if (expected !== null && expected !== accepted + rejected) parts.push(`of ${plural(expected, 'row')}`)
  return parts.join(', ')
}

function describePhases(phases: Batch['phases']): string | null {
  const named: [string, number | null][] = [
    ['queued', phases.queueSeconds],
    ['loading', phases.loadSeconds],
    ['publishing', phases.publishSeconds],
  ]
  const known = named.flatMap(([name, seconds]) => (seconds === null ? [] : [`${name} ${seconds.toFixed(2)} s`]))
  return known.length === 0 ? null : known.join(', ')
}

function describeDeadline(deadline: string, slack: number | null): string {
  if (slack === null) return utc(deadline)
  return `${utc(deadline)} (${slack < 0 ? `missed by ${duration(-slack)}` : `${duration(slack)} to spare`})`
}
