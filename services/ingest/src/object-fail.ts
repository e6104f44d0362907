import { type BatchError } from '@rates/core/batch'
import { endEarlyIn } from '@rates/service/ledger/end-early'
import { type LedgerBatch, BATCH_COLUMNS } from '@rates/service/ledger/open'
import { withTransaction } from '@rates/service/postgres'
import type pg from 'pg'
import { bindIn, holdObjectOf, replyConflict, type BindSettings, type Bound } from './object-bind.ts'

/** Whose load it is to fail: a loader's own, or one that nobody has. */
export interface Failing {
  no: bigint
  holder: string | null
}

const LET_GO = `
update object_loads set note = null, refused_since = null, leased_by = null, leased_until = null
where no = $1 and state in ('waiting', 'loading')
  and (leased_by = $2 or $2 is null and (leased_until is null or leased_until < clock_timestamp()))`

const NOTHING = { kind: 'repeat' } as const

/**
 * Fails the batch of an object that cannot be loaded. One that has no batch yet gets it in the same transaction: opened
 * before, another loader could load it under headers that the object does not have.
 * @returns `repeat` where nothing was to be failed: its batch had ended before, or another loader has the object
 */
export function failLoad(
  pool: pg.Pool,
  { no, holder }: Failing,
  error: BatchError,
  { replies }: BindSettings,
  quarantined = false,
): Promise<Exclude<Bound, { kind: 'load' }>> {
  return withTransaction(pool, async (client) => {
    const row = await holdObjectOf(client, no)
    if (!row || (await client.query(LET_GO, [no, holder])).rowCount !== 1) return NOTHING
    let batch: LedgerBatch
    if (row.batchNo === null) {
      const bound = await bindIn(client, row, undefined, replies)
      if (bound.kind === 'conflict') await replyConflict(client, row, bound, replies)
      if (bound.kind !== 'load') return bound
      batch = bound.batch
    } else {
      const { rows } = await client.query<LedgerBatch>(`select ${BATCH_COLUMNS} from batches where no = $1`, [
        row.batchNo,
      ])
      batch = rows[0]!
    }
    if (!(await endEarlyIn(client, batch.no, 'failed', error, replies))) return NOTHING
    if (quarantined) await client.query('update object_loads set quarantined = true where no = $1', [no])
    return { kind: 'failed', batch, error }
  })
}
