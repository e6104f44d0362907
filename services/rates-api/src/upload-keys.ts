import { type LedgerBatch } from '@rates/service/ledger/open'
import { type Pool } from 'pg'
import { type Content } from './content-digest.ts'

type Queryable = Pick<Pool, 'query'>

/** What an Idempotency-Key stands for. */
export type KeyState =
  | { kind: 'free' }
  /** The first upload with it is still going on, or died within the chunk timeout. */
  | { kind: 'uploading' }
  | { kind: 'used'; batch: { id: string; dryRun: boolean; ended: boolean }; content: Content }

const FIND = `
select b.no, b.id, b.dry_run as "dryRun", b.state, u.digest, u.rows, b.digest as "ledgerDigest",
  b.rows_accepted + b.rows_rejected as "ledgerRows"
from uploads u join batches b on b.no = u.batch_no where u.idempotency_key = $1`

interface Found {
  no: bigint
  id: string
  dryRun: boolean
  state: LedgerBatch['state']
  digest: Buffer | null
  rows: bigint | null
  ledgerDigest: Buffer | null
  ledgerRows: bigint | null
}

/** What a key stands for. One whose upload broke is free again, and is given back here if nobody else did. */
export async function findKey(db: Queryable, key: string): Promise<KeyState> {
  const { rows } = await db.query<Found>(FIND, [key])
  const found = rows[0]
  if (found === undefined) return { kind: 'free' }
  const batch = { id: found.id, dryRun: found.dryRun, ended: found.state !== 'open' }
  // The upload tells its digest when its last chunk is acknowledged; if that was lost, the ledger has it in the end.
  const digest = found.digest ?? found.ledgerDigest
  const count = found.digest === null ? found.ledgerRows : found.rows
  if (digest !== null && count !== null) return { kind: 'used', batch, content: { digest, rows: Number(count) } }
  if (!batch.ended) return { kind: 'uploading' }
  await releaseKey(db, found.no)
  return { kind: 'free' }
}

/** @returns false if somebody else has it */
export async function claimKey(db: Queryable, key: string, batchNo: bigint): Promise<boolean> {
  const { rowCount } = await db.query(
    'insert into uploads (idempotency_key, batch_no) values ($1, $2) on conflict (idempotency_key) do nothing',
    [key, batchNo],
  )
  return rowCount === 1
}

/** The upload is complete: from now on its key stands for this content. */
export async function settleKey(db: Queryable, batchNo: bigint, content: Content): Promise<void> {
  const digest = Buffer.from(content.digest)
  await db.query('update uploads set digest = $2, rows = $3 where batch_no = $1', [batchNo, digest, content.rows])
}

/**
 * The upload broke, and its batch with it. Where a worker had published it nevertheless (Kafka had all of it, only its
 * answer was lost) the key stays: a repetition finds the batch.
 */
export async function releaseKey(db: Queryable, batchNo: bigint): Promise<void> {
  await db.query(
    `delete from uploads u using batches b
     where u.batch_no = $1 and b.no = u.batch_no and u.digest is null and b.state in ('failed', 'cancelled')`,
    [batchNo],
  )
}
