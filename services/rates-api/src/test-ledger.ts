import { type Pool } from 'pg'

/** Writes a batch into the ledger as a worker would. @returns its number */
export async function openTestBatch(
  pool: Pick<Pool, 'query'>,
  id: string,
  row: { state?: string; source?: string; dryRun?: boolean; error?: object; replaces?: string } = {},
): Promise<bigint> {
  const { state = 'open', source = null, dryRun = false, error = null, replaces = null } = row
  const { rows } = await pool.query<{ no: bigint }>(
    `insert into batches (id, state, source, dry_run, error, finished_at, replaces) values ($1, $2, $3, $4, $5, $6, $7)
     returning no`,
    [id, state, source, dryRun, error && JSON.stringify(error), state === 'open' ? null : new Date(), replaces],
  )
  return rows[0]!.no
}

export async function endTestBatch(
  pool: Pick<Pool, 'query'>,
  no: bigint,
  state: 'succeeded' | 'failed' | 'cancelled' = 'succeeded',
): Promise<void> {
  await pool.query('update batches set state = $2, finished_at = clock_timestamp() where no = $1', [no, state])
}

/** A chunk of good rows. */
export async function storeTestChunk(
  pool: Pick<Pool, 'query'>,
  no: bigint,
  chunk: number,
  more: { rows?: number; total?: number } = {},
): Promise<void> {
  await pool.query(
    `insert into batch_chunks (batch_no, chunk, total, rows, rejected, sha256, digest, topic, partition, record_offset,
       record_time, bytes, worker, peak_memory, attempt, taken_at)
     values ($1, $2::int, $3, $4, 0, '\\x00', decode(repeat('00', 16), 'hex'), 't', 0, $2::int, clock_timestamp(), 1000, 'w', 1, 1,
       clock_timestamp())`,
    [no, chunk, more.total ?? null, more.rows ?? 100],
  )
}
