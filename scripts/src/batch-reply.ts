import { type Batch, type Outcome, type Reply, type RowError } from '@rates/core/batch'

/** As many bad rows as a reply has. */
export const REPLY_ERRORS = 20

/**
 * The reply that the platform gave when the batch ended, made of what its API tells. What succeeded may have been
 * reverted or replaced since.
 */
export function replyOfBatch(batch: Batch, errors: readonly RowError[]): Reply {
  const { id, dryRun, rows, finishedAt } = batch
  const state: Outcome = batch.state === 'failed' || batch.state === 'cancelled' ? batch.state : 'succeeded'
  return {
    replyId: `${id}/${dryRun ? 'dry-run/' : ''}${state}`,
    batchId: id,
    correlationId: batch.correlationId,
    state,
    dryRun,
    source: batch.source,
    rows: { accepted: rows.accepted, rejected: rows.rejected },
    chunks: batch.chunks.expected,
    digest: batch.digest,
    error: batch.error,
    errors: errors.slice(0, REPLY_ERRORS).map(({ row, field, value, rule }) => ({ row, field, value, rule })),
    links: batch.links,
    createdAt: batch.createdAt,
    finishedAt: finishedAt ?? batch.createdAt,
  }
}

/** What workers reply to a record that says something else than the ledger has under its id. */
export function conflictReply(batchId: string, dryRun: boolean, message: string, now: Date): Reply {
  const at = now.toISOString()
  const path = `/batches/${encodeURIComponent(batchId)}`
  return {
    replyId: `${batchId}/id_conflict`,
    batchId,
    correlationId: null,
    state: 'id_conflict',
    dryRun,
    source: null,
    rows: { accepted: 0, rejected: 0 },
    chunks: null,
    digest: null,
    error: { code: 'id_conflict', message },
    errors: [],
    links: { self: path, errors: `${path}/errors` },
    createdAt: at,
    finishedAt: at,
  }
}
