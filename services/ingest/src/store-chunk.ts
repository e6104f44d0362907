import { PACK_COLUMNS } from '@rates/core/pack'
import { failpoint } from '@rates/service/failpoints'
import { copyIn } from '@rates/service/copy-in'
import { withTransaction } from '@rates/service/postgres'
import type pg from 'pg'

/** A chunk as batch_chunks keeps it. */
export interface ChunkRow {
  chunk: number
  total: number | null
  progress: number | null
  rows: number
  rejected: number
  rules: Record<string, number> | null
  errors: Buffer | null
  sha256: Buffer
  digest: Uint8Array
  topic: string
  partition: number
  offset: bigint
  recordTime: Date
  bytes: number
  worker: string
  peakMemory: number
  attempt: number
  takenAt: Date
}

const INSERT_CHUNK = `
insert into batch_chunks (batch_no, chunk, total, rows, rejected, rules, errors, sha256, digest, topic, partition,
  record_offset, record_time, bytes, worker, peak_memory, attempt, taken_at, progress)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
on conflict do nothing`

/** @returns false if the chunk is there already */
export async function insertChunk(client: pg.ClientBase, batchNo: bigint, chunk: ChunkRow): Promise<boolean> {
  const { rowCount } = await client.query({
    name: 'insert-chunk',
    text: INSERT_CHUNK,
    values: [
      batchNo,
      chunk.chunk,
      chunk.total,
      chunk.rows,
      chunk.rejected,
      chunk.rules,
      chunk.errors,
      chunk.sha256,
      Buffer.from(chunk.digest),
      chunk.topic,
      chunk.partition,
      chunk.offset,
      chunk.recordTime,
      chunk.bytes,
      chunk.worker,
      chunk.peakMemory,
      chunk.attempt,
      chunk.takenAt,
      chunk.progress,
    ],
  })
  return rowCount === 1
}

/** A chunk that came without the batch's total was sent again with it: an answer to a sender that had lost count. */
export async function noteTotal(pool: pg.Pool, batchNo: bigint, chunk: number, total: number): Promise<void> {
  await pool.query('update batch_chunks set total = $3 where batch_no = $1 and chunk = $2 and total is null', [
    batchNo,
    chunk,
    total,
  ])
}

const COPY_PACKS = `copy price_packs (${PACK_COLUMNS}) from stdin (format binary)`

/** Writes packs, piece by piece as Packer.encode() makes them. */
export const copyPacks = (client: pg.ClientBase, pieces: Iterable<Uint8Array>): Promise<void> =>
  copyIn(client, COPY_PACKS, pieces)

/**
 * Stores chunks of an open batch in one transaction: `stored`; `ended`: the batch is not open any more, nothing was done;
 * `there`: one of them had been stored before, nothing was done.
 * The batch's row is held `for share`: publication and failing wait for it, and a worker that was frozen meanwhile finds
 * a batch that has ended. No packs are stored once a chunk of the batch was rejected: the rest is only checked.
 */
export async function storeChunks(
  pool: pg.Pool,
  batchNo: bigint,
  chunks: readonly ChunkRow[],
  encode: (() => Iterable<Uint8Array>) | undefined,
): Promise<'stored' | 'there' | 'ended'> {
  try {
    return await withTransaction(pool, async (client) => {
      const { rows } = await client.query<{ state: string; rejecting: boolean }>({
        name: 'hold-batch',
        text: `select state, exists (select from batch_chunks where batch_no = $1 and rejected > 0) as rejecting
          from batches where no = $1 for share`,
        values: [batchNo],
      })
      const { state, rejecting } = rows[0]!
      if (state !== 'open') return 'ended'
      for (const chunk of chunks) if (!(await insertChunk(client, batchNo, chunk))) throw new StoredBefore()
      const clean = !rejecting && chunks.every(({ rejected }) => rejected === 0)
      if (encode && clean) await copyPacks(client, encode())
      failpoint('inside-chunk')
      return 'stored'
    })
  } catch (error) {
    if (error instanceof StoredBefore) return 'there'
    throw error
  }
}

/** Takes the transaction back. */
class StoredBefore extends Error {}
