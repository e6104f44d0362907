import { type RevertRefusal } from '@rates/core/batch'
import type pg from 'pg'
import { failpoint } from '../failpoints.ts'
import { BATCH_COLUMNS, findBatch, type LedgerBatch } from './open.ts'
import { takeOut } from './take-out.ts'

/** A batch's row as far as reverting it, and telling of it, needs it. */
export interface RevertibleBatch extends LedgerBatch {
  replacedBy: string | null
  finishedAt: Date | null
  hiddenAt: Date | null
  purgedAt: Date | null
  accepted: number | null
  rejected: number | null
  digest: Buffer | null
}

export type Reverted =
  | {
      kind: 'reverted'
      batch: RevertibleBatch & { hiddenAt: Date }
      /** True if it was reverted before, and nothing changed now. */
      before: boolean
      /** The id of the batch that it had replaced, and that is shown again. */
      shown: string | null
    }
  | {
      kind: 'refused'
      code: RevertRefusal
      message: string
      /** Undefined if there is none, or only a dry run. */
      batch: RevertibleBatch | undefined
    }

const COLUMNS = `${BATCH_COLUMNS}, replaced_by as "replacedBy", finished_at as "finishedAt", hidden_at as "hiddenAt",
  purged_at as "purgedAt", rows_accepted::float8 as accepted, rows_rejected::float8 as rejected, digest`

/** Both locked in the order of their numbers, as everybody who locks two (publication, merging). */
const LOCK = `
select ${COLUMNS} from batches
where not dry_run and (id = $1 or id = (select replaces from batches where id = $1 and not dry_run))
order by no for update`

/**
 * Reverts a batch in the caller's transaction: it is hidden, and the one that it had replaced is shown again, in the
 * same commit. As small as publication whatever the batch's size, unless it was merged with others: then its packs are
 * taken out first. Readers wait for nothing, and nothing waits for readers.
 *
 * A batch may be reverted within the window after it succeeded. A replaced one comes back if its replacement is
 * reverted, and can then be reverted itself, by its own time.
 */
export async function revertIn(
  client: pg.ClientBase,
  id: string,
  dryRun: boolean,
  windowDays: number,
): Promise<Reverted> {
  if (dryRun) return refuseDryRun(client, id)
  const { batch, replaced } = await lock(client, id)
  if (!batch) return refuseDryRun(client, id)
  const { state, hiddenAt } = batch
  if (state === 'reverted' && hiddenAt) {
    return { kind: 'reverted', batch: { ...batch, hiddenAt }, before: true, shown: null }
  }
  const refusal = await refusalOf(client, batch, replaced, windowDays)
  if (refusal) return { kind: 'refused', ...refusal, batch }
  failpoint('before-revert')
  const reverted = await hide(client, batch)
  if (replaced) await show(client, replaced)
  failpoint('inside-revert')
  return { kind: 'reverted', batch: reverted, before: false, shown: replaced?.id ?? null }
}

async function lock(
  client: pg.ClientBase,
  id: string,
): Promise<{ batch: RevertibleBatch | undefined; replaced: RevertibleBatch | undefined }> {
  const find = async () => {
    const { rows } = await client.query<RevertibleBatch>({ name: 'lock-to-revert', text: LOCK, values: [id] })
    return { batch: rows.find((row) => row.id === id), replaced: rows.find((row) => row.id !== id) }
  }
  const found = await find()
  const { batch, replaced } = found
  if (batch?.state !== 'succeeded' || batch.replaces === null || replaced) return found
  // The statement may have waited since before the replaced batch was there. Else the ledger has forgotten it.
  return find()
}

async function refuseDryRun(client: pg.ClientBase, id: string): Promise<Reverted> {
  const found = await findBatch(client, id, true)
  return found
    ? {
        kind: 'refused',
        code: 'dry_run',
        message: `batch ${id} was a dry run: there is nothing of it to hide`,
        batch: undefined,
      }
    : { kind: 'refused', code: 'not_found', message: `there is no batch ${id}`, batch: undefined }
}

async function refusalOf(
  client: pg.ClientBase,
  batch: RevertibleBatch,
  replaced: RevertibleBatch | undefined,
  windowDays: number,
): Promise<{ code: RevertRefusal; message: string } | undefined> {
  const { id, state } = batch
  if (state === 'open') {
    return { code: 'not_succeeded', message: `batch ${id} has not ended: it can be cancelled` }
  }
  if (state === 'replaced') {
    return { code: 'replaced', message: `batch ${id} was replaced by ${batch.replacedBy}: revert that one` }
  }
  if (state !== 'succeeded') {
    const ended = state === 'failed' ? 'failed' : 'was cancelled'
    return { code: 'not_succeeded', message: `batch ${id} ${ended}: nothing of it is visible` }
  }
  // Asked now, by the database's clock: the lock may have been waited for.
  const { rows } = await client.query<{ over: boolean }>(
    'select $1::timestamptz + make_interval(secs => $2) < clock_timestamp() as over',
    [batch.finishedAt, windowDays * 86_400],
  )
  if (rows[0]!.over) {
    const days = `${windowDays} ${windowDays === 1 ? 'day' : 'days'}`
    const message = `batch ${id} succeeded at ${batch.finishedAt!.toISOString()}: only within ${days} could it be reverted`
    return { code: 'window_over', message }
  }
  if (batch.replaces !== null && (!replaced || replaced.purgedAt)) {
    return { code: 'purged', message: `batch ${batch.replaces}, which it replaced, was purged and cannot come back` }
  }
  return undefined
}

async function hide(
  client: pg.ClientBase,
  batch: RevertibleBatch,
): Promise<RevertibleBatch & { state: 'reverted'; hiddenAt: Date }> {
  await takeOut(client, batch.no)
  await client.query('insert into hidden_batches (batch_no) values ($1)', [batch.no])
  // The trigger batches_hidden tells the time.
  const { rows } = await client.query<{ hiddenAt: Date }>(
    `update batches set state = 'reverted' where no = $1 returning hidden_at as "hiddenAt"`,
    [batch.no],
  )
  return { ...batch, state: 'reverted', hiddenAt: rows[0]!.hiddenAt }
}

async function show(client: pg.ClientBase, batch: RevertibleBatch): Promise<void> {
  await client.query('delete from hidden_batches where batch_no = $1', [batch.no])
  await client.query(`update batches set state = 'succeeded', replaced_by = null where no = $1`, [batch.no])
}
