import { type BatchError } from '@rates/core/batch'
import type pg from 'pg'
import { withTransaction } from '../postgres.ts'
import { failpoint } from '../failpoints.ts'
import { finishBatch, type ReplySettings } from './finish.ts'
import { BATCH_COLUMNS, type LedgerBatch } from './open.ts'
import { firstRowErrors } from './row-errors.ts'

/**
 * Fails or cancels a batch that is not finished: a broken upload, a sender's `control: cancel`, a time limit, poison.
 * @returns false if it had ended before; nothing changed then.
 */
export async function endEarly(
  pool: pg.Pool,
  batchNo: bigint,
  state: 'failed' | 'cancelled',
  error: BatchError,
  settings: ReplySettings,
): Promise<boolean> {
  const ended = await withTransaction(pool, (client) => endEarlyIn(client, batchNo, state, error, settings))
  if (ended) failpoint('after-end')
  return ended
}

/** The same in the caller's transaction. */
export async function endEarlyIn(
  client: pg.ClientBase,
  batchNo: bigint,
  state: 'failed' | 'cancelled',
  error: BatchError,
  settings: ReplySettings,
): Promise<boolean> {
  const { rows } = await client.query<LedgerBatch>(
    `select ${BATCH_COLUMNS} from batches where no = $1 and state = 'open' for update`,
    [batchNo],
  )
  const batch = rows[0]
  if (!batch) return false
  failpoint('before-end')
  const sums = await client.query<{ rows: number; rejected: number; total: number | null }>(
    `select coalesce(sum(rows), 0)::float8 as rows, coalesce(sum(rejected), 0)::float8 as rejected, max(total) as total
     from batch_chunks where batch_no = $1`,
    [batchNo],
  )
  const { rows: all, rejected, total } = sums.rows[0]!
  const errors = rejected > 0 ? await firstRowErrors(client, batchNo, 20) : []
  const counts = { accepted: all - rejected, rejected }
  await finishBatch(client, batch, { state, error, chunks: total, rows: counts, digest: null, errors }, settings)
  failpoint('inside-end')
  return true
}
