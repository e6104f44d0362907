import { type BatchHeaders } from '@rates/core/wire'
import { type LedgerBatch } from './open.ts'

/** The headers that the records of a batch have, as the ledger knows them: the same each time. */
export function headersOf(batch: LedgerBatch): BatchHeaders {
  return {
    batchId: batch.id,
    source: batch.source ?? undefined,
    replaces: batch.replaces ?? undefined,
    retryOf: batch.retryOf ?? undefined,
    deadline: batch.deadline?.toISOString(),
    onDeadline: batch.onDeadline === 'flag' ? 'flag' : undefined,
    replyTo: batch.replyTo ?? undefined,
    correlationId: batch.correlationId ?? undefined,
    dryRun: batch.dryRun,
    traceparent: batch.traceparent ?? undefined,
  }
}

/** A header of a batch that came with another value than the batch has. */
export interface DifferentHeader {
  name: string
  sent: unknown
  known: unknown
}

/**
 * The first header that differs, if any does: they are a part of a batch's identity, but for the trace, which a sender's
 * retry has anew.
 */
export function differentHeader(batch: LedgerBatch, headers: BatchHeaders): DifferentHeader | undefined {
  const time = (value: string | Date | null | undefined): number | null => (value ? new Date(value).getTime() : null)
  const pairs: [string, unknown, unknown][] = [
    ['source', headers.source ?? null, batch.source],
    ['replaces', headers.replaces ?? null, batch.replaces],
    ['retry-of', headers.retryOf ?? null, batch.retryOf],
    ['deadline', time(headers.deadline), time(batch.deadline)],
    ['on-deadline', headers.onDeadline ?? 'fail', batch.onDeadline],
    ['reply-to', headers.replyTo ?? null, batch.replyTo],
    ['correlation-id', headers.correlationId ?? null, batch.correlationId],
  ]
  const different = pairs.find(([, sent, known]) => sent !== known)
  if (!different) return undefined
  const [name, sent, known] = different
  return { name, sent, known }
}
