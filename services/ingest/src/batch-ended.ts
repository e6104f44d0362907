import { type Logger } from '@rates/service/log'

/** A batch that got its outcome in this worker, as log and metrics tell of it; most of it stands in its ledger row. */
export interface EndedBatch {
  id: string
  dryRun: boolean
  source: string | null
  outcome: 'succeeded' | 'failed' | 'cancelled'
  /** The code of why it did not succeed. */
  error?: string | undefined
  rows: { accepted: number; rejected: number }
  chunks: number | null
  /** The record time of what was met first of it. */
  createdAt: Date
  deadline: Date | null
  correlationId: string | null
  traceparent: string | null
}

/** Where it ended: in the hands of a stage with a record, of the sweeper, or of a loader of objects. */
export interface EndedBy {
  stage: 'copy' | 'publish' | 'sweep' | 'load'
  attempt?: number | undefined
  record?: { topic: string; partition: number; offset: bigint; timestamp: number }
}

/** Counts a batch that ended, and writes the one line that has all about it. */
export function batchEnded(
  metrics: { ended(batch: EndedBatch, at: number): void },
  log: Logger,
  batch: EndedBatch,
  { stage, attempt, record }: EndedBy,
) {
  const now = Date.now()
  metrics.ended(batch, now)
  const { id, dryRun, source, outcome, error, rows, chunks, createdAt, deadline, correlationId, traceparent } = batch
  log.info(
    {
      batch_id: id,
      correlation_id: correlationId ?? undefined,
      trace_id: traceId(traceparent),
      stage,
      attempt,
      topic: record?.topic,
      partition: record?.partition,
      offset: record && String(record.offset),
      outcome,
      error,
      rows: rows.accepted,
      rejected: rows.rejected,
      chunks: chunks ?? undefined,
      dry_run: dryRun || undefined,
      source: source ?? undefined,
      // Since its first record, and since the one that ended it.
      seconds: secondsBetween(createdAt.getTime(), now),
      since_record_seconds: record && secondsBetween(record.timestamp, now),
      slack_seconds: deadline ? (deadline.getTime() - now) / 1000 : undefined,
    },
    'batch finished',
  )
}

export const traceId = (traceparent: string | null | undefined): string | undefined =>
  /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(traceparent ?? '')?.[1]

const secondsBetween = (from: number, to: number): number => Math.max(0, (to - from) / 1000)
