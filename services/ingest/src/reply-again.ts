import { type LedgerBatch } from '@rates/service/ledger/open'
import type pg from 'pg'

/** The stored reply of a batch that has ended goes out again, the same bytes. */
export async function replyAgain(db: Pick<pg.Pool, 'query'>, batch: Pick<LedgerBatch, 'id' | 'dryRun'>): Promise<void> {
  await db.query(
    `update outbox set sent_at = null where batch_id = $1 and reply_id in
       (select $1 || s from unnest(array['/succeeded', '/failed', '/cancelled']) s where not $2
        union all select $1 || '/dry-run' || s from unnest(array['/succeeded', '/failed', '/cancelled']) s where $2)`,
    [batch.id, batch.dryRun],
  )
}
