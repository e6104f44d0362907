import { type Field, type Rule } from './rejection.ts'

export type Outcome = 'succeeded' | 'failed' | 'cancelled'
export type BatchState = 'pending' | 'in_progress' | Outcome | 'reverted' | 'replaced'

/** Why a batch failed or was cancelled. */
export type BatchErrorCode =
  | 'rejected_rows' // rows break a rule; `rules` counts them
  | 'unreadable' // the body of a whole batch cannot be read
  | 'incomplete' // chunks never came; `missingChunks` names them
  | 'deadline_passed'
  | 'reply_to_not_allowed'
  | 'replaces_unknown' // and of the batch that was to be replaced:
  | 'replaces_open'
  | 'replaces_failed'
  | 'replaces_cancelled'
  | 'replaces_reverted'
  | 'replaces_replaced'
  | 'replaces_other_source'
  | 'internal_error'
  | 'cancelled' // by its sender
  | 'upload_broken'
  | 'retry_broken' // its records could not all be sent again
  // of a batch that is a file of an object store:
  | 'bucket_not_allowed'
  | 'object_not_found'
  | 'object_changed' // it is no longer what was asked for
  | 'object_refused' // the store refuses our credentials
  | 'object_mismatch' // other bytes than the claim's digest says
  | 'object_unreadable' // its compression is damaged, or it has no known format, no rows, a row or more chunks than a batch may

/** Why a batch cannot be reverted. */
export type RevertRefusal =
  | 'not_found' // no batch has the id
  | 'dry_run' // there is nothing of it to hide
  | 'not_succeeded' // it is loading, failed or was cancelled
  | 'replaced' // another batch took its place: revert that one
  | 'window_over' // it succeeded too long ago
  | 'purged' // the batch that it replaced is gone, and nothing could come back

export interface BatchError {
  code: BatchErrorCode
  message: string
  /** Bad rows by rule. */
  rules?: Partial<Record<Rule, number>>
  /** The first chunks that never came (100 at most); absent where the one that tells the total never came. */
  missingChunks?: number[]
}

/** A batch as JSON, over HTTP, in events and in replies. Times are RFC 3339 in UTC. */
export interface Batch {
  id: string
  state: BatchState
  source: string | null
  replaces: string | null
  replacedBy: string | null
  /** The batch whose records this one has again. */
  retryOf: string | null
  dryRun: boolean
  correlationId: string | null
  chunks: { done: number; expected: number | null }
  rows: { accepted: number; rejected: number; expected: number | null }
  bytes: number
  /** 0 to 1; estimated by what the sender says while the number of chunks is unknown, null where it says nothing. */
  progress: number | null
  rowsPerSecond: number | null
  etaAt: string | null
  deadline: string | null
  slackSeconds: number | null
  createdAt: string
  startedAt: string | null
  finishedAt: string | null
  /** When it was reverted or replaced. */
  hiddenAt: string | null
  purgedAt: string | null
  phases: { queueSeconds: number | null; loadSeconds: number | null; publishSeconds: number | null }
  peakMemoryBytes: number | null
  /** Most tries of any chunk. */
  attempts: number
  workers: string[]
  log: string | null
  traceId: string | null
  digest: string | null
  error: BatchError | null
  links: { self: string; errors: string }
}

/** A bad row as people see it: `row` counts the batch's data rows from 1. */
export interface RowError {
  row: number
  field: Field | null
  value: string
  rule: Rule
}

/**
 * What a sender is told, once: the value of a record on the reply topic. `reverted` and `revert_refused` answer a
 * `control: revert`, the others a batch.
 */
export interface Reply {
  replyId: string
  batchId: string
  correlationId: string | null
  state: Outcome | 'id_conflict' | 'unreadable' | 'reverted' | 'revert_refused'
  dryRun: boolean
  source: string | null
  rows: { accepted: number; rejected: number }
  chunks: number | null
  digest: string | null
  error: { code: string; message: string; rules?: Partial<Record<Rule, number>>; missingChunks?: number[] } | null
  /** The first 20. */
  errors: RowError[]
  links: { self: string; errors: string }
  createdAt: string
  finishedAt: string
}
