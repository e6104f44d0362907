import { type BatchHeaders } from '@rates/core/wire'
import type pg from 'pg'

/** A batch's row as whoever works on it needs it. */
export interface LedgerBatch {
  no: bigint
  id: string
  dryRun: boolean
  state: 'open' | 'succeeded' | 'failed' | 'cancelled' | 'reverted' | 'replaced'
  source: string | null
  replaces: string | null
  retryOf: string | null
  deadline: Date | null
  onDeadline: 'fail' | 'flag'
  replyTo: string | null
  correlationId: string | null
  traceparent: string | null
  createdAt: Date
  chunksExpected: number | null
}

export const BATCH_COLUMNS = `no, id, dry_run as "dryRun", state, source, replaces, retry_of as "retryOf", deadline, on_deadline as "onDeadline",
  reply_to as "replyTo", correlation_id as "correlationId", traceparent, created_at as "createdAt",
  chunks_expected as "chunksExpected"`

type Queryable = Pick<pg.Pool, 'query'>

/** The parameters of an insert into batches, in the order of OPEN's columns. */
export function openingValues(headers: BatchHeaders, topic: string | null, createdAt: Date): unknown[] {
  return [
    headers.batchId,
    headers.dryRun ?? false,
    topic,
    headers.source ?? null,
    headers.replaces ?? null,
    headers.retryOf ?? null,
    // To the millisecond, as everyone else reads it: PostgreSQL would round what is finer, and it would be another time.
    headers.deadline === undefined ? null : new Date(headers.deadline),
    headers.onDeadline ?? 'fail',
    headers.replyTo ?? null,
    headers.correlationId ?? null,
    headers.traceparent ?? null,
    createdAt,
  ]
}

const OPEN = `
with opened as (
  insert into batches (id, dry_run, topic, source, replaces, retry_of, deadline, on_deadline, reply_to, correlation_id,
    traceparent, created_at, state)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'open')
  on conflict (id, dry_run) do nothing
  returning ${BATCH_COLUMNS}
), hidden as (
  insert into hidden_batches (batch_no) select no from opened
)
select * from opened`

export async function findBatch(db: Queryable, id: string, dryRun: boolean): Promise<LedgerBatch | undefined> {
  const { rows } = await db.query<LedgerBatch>({
    name: 'find-batch',
    text: `select ${BATCH_COLUMNS} from batches where id = $1 and dry_run = $2`,
    values: [id, dryRun],
  })
  return rows[0]
}

/**
 * Opens a batch, hidden from readers in the same transaction, or finds the one that has its id. Whoever meets a batch
 * first opens it.
 */
export async function openBatch(
  db: Queryable,
  headers: BatchHeaders,
  topic: string | null,
  createdAt: Date,
): Promise<{ batch: LedgerBatch; opened: boolean }> {
  for (;;) {
    const found = await findBatch(db, headers.batchId, headers.dryRun ?? false)
    if (found) return { batch: found, opened: false }
    const { rows } = await db.query<LedgerBatch>({
      name: 'open-batch',
      text: OPEN,
      values: openingValues(headers, topic, createdAt),
    })
    if (rows[0]) return { batch: rows[0], opened: true }
    // Somebody else opened it in between: find it.
  }
}
