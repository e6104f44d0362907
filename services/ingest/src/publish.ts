import { type BatchError, type BatchErrorCode } from '@rates/core/batch'
import { DigestSum } from '@rates/core/digest'
import { failpoint } from '@rates/service/failpoints'
import { finishBatch, type ReplySettings, type Verdict } from '@rates/service/ledger/finish'
import { BATCH_COLUMNS, type LedgerBatch } from '@rates/service/ledger/open'
import { firstRowErrors } from '@rates/service/ledger/row-errors'
import { takeOut } from '@rates/service/ledger/take-out'
import { withTransaction } from '@rates/service/postgres'
import type pg from 'pg'
import { rejectedRows } from './store-small.ts'

/** True if all chunks of the batch are stored: one index look-up, asked after every chunk. */
export async function isComplete(pool: pg.Pool, batchNo: bigint): Promise<boolean> {
  const { rows } = await pool.query<{ complete: boolean | null }>({
    name: 'is-complete',
    text: 'select count(*) = max(total) as complete from batch_chunks where batch_no = $1',
    values: [batchNo],
  })
  return rows[0]?.complete === true
}

interface Sums {
  chunks: number
  total: number | null
  rows: number
  rejected: number
  rules: Record<string, number> | null
}

const SUMS = `
select count(*)::int as chunks, max(total) as total, sum(rows)::float8 as rows, sum(rejected)::float8 as rejected,
  (select jsonb_object_agg(rule, n) from (
     select key as rule, sum(value::int) as n from batch_chunks c, jsonb_each_text(c.rules) where c.batch_no = $1 group by 1) r
  ) as rules
from batch_chunks where batch_no = $1`

/**
 * Gives a complete batch its outcome, in one small transaction whatever its size: it becomes visible, or it failed, and
 * its reply stands in the outbox. Tried after every chunk, before its offset is committed, and by the sweeper.
 * @returns the verdict, or undefined if it is not complete or had ended before
 */
export function publish(
  pool: pg.Pool,
  batchNo: bigint,
  settings: ReplySettings,
): Promise<{ batch: LedgerBatch; verdict: Verdict } | undefined> {
  return withTransaction(pool, async (client) => {
    const target = await lockWithTarget(client, batchNo)
    if (!target) return undefined
    const { batch, replaced } = target
    const { rows } = await client.query<Sums>(SUMS, [batchNo])
    const sums = rows[0]!
    if (sums.chunks === 0 || sums.chunks !== sums.total) return undefined
    const error = fault(batch, sums, replaced)
    const counts = { accepted: sums.rows - sums.rejected, rejected: sums.rejected }
    const verdict: Verdict = {
      state: error ? 'failed' : 'succeeded',
      error,
      chunks: sums.total,
      rows: counts,
      digest: error ? null : await contentDigest(client, batchNo),
      errors: sums.rejected > 0 ? await firstRowErrors(client, batchNo, 20) : [],
    }
    await finishBatch(client, batch, verdict, settings)
    if (!error) await show(client, batch, replaced)
    failpoint('inside-publish')
    return { batch, verdict }
  })
}

/** Locks the batch and the one that it replaces, in the order of their numbers, as everybody who locks two. */
async function lockWithTarget(
  client: pg.ClientBase,
  batchNo: bigint,
): Promise<{ batch: LedgerBatch; replaced: LedgerBatch | undefined } | undefined> {
  const { rows } = await client.query<LedgerBatch>({
    name: 'lock-to-publish',
    text: `select ${BATCH_COLUMNS} from batches b
      where no = $1 or (not dry_run and id = (select replaces from batches where no = $1)) order by no for update`,
    values: [batchNo],
  })
  const batch = rows.find(({ no }) => no === batchNo)
  if (batch?.state !== 'open') return undefined
  return {
    batch,
    replaced: batch.replaces === null ? undefined : rows.find(({ id, no }) => id === batch.replaces && no !== batchNo),
  }
}

/** Why a complete batch fails all the same, or null. */
function fault(batch: LedgerBatch, sums: Sums, replaced: LedgerBatch | undefined): BatchError | null {
  if (sums.rejected > 0) return rejectedRows(sums.rejected, sums.rows, sums.rules ?? {})
  if (batch.deadline && batch.onDeadline === 'fail' && batch.deadline.getTime() < Date.now()) {
    return { code: 'deadline_passed', message: `it was not complete at ${batch.deadline.toISOString()}` }
  }
  if (batch.replaces === null) return null
  if (!replaced) return { code: 'replaces_unknown', message: `there is no batch ${batch.replaces} to replace` }
  if (replaced.source !== batch.source) {
    return { code: 'replaces_other_source', message: `batch ${batch.replaces} came from another source` }
  }
  if (replaced.state === 'succeeded') return null
  const code: BatchErrorCode = `replaces_${replaced.state}`
  return { code, message: `batch ${batch.replaces} is ${replaced.state} and cannot be replaced` }
}

async function contentDigest(client: pg.ClientBase, batchNo: bigint): Promise<Uint8Array> {
  const { rows } = await client.query<{ digest: Buffer }>('select digest from batch_chunks where batch_no = $1', [
    batchNo,
  ])
  const sum = new DigestSum()
  for (const { digest } of rows) sum.addDigest(digest)
  return sum.bytes()
}

/** Shows the batch and hides the one that it replaces, in the same commit. A dry run has nothing to show. */
async function show(client: pg.ClientBase, batch: LedgerBatch, replaced: LedgerBatch | undefined): Promise<void> {
  await client.query({ name: 'show-batch', text: 'delete from hidden_batches where batch_no = $1', values: [batch.no] })
  if (!replaced || batch.dryRun) return
  await takeOut(client, replaced.no)
  await client.query('insert into hidden_batches (batch_no) values ($1)', [replaced.no])
  failpoint('inside-replace')
  await client.query(`update batches set state = 'replaced', replaced_by = $2 where no = $1`, [replaced.no, batch.id])
}
