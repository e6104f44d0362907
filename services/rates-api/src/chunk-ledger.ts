import { BATCH_COLUMNS, type LedgerBatch } from '@rates/service/ledger/open'
import { type Pool } from 'pg'

type Queryable = Pick<Pool, 'query'>

/** A batch's row, and the lane that its chunks go by; null until the first one is sent. */
export type OpenedBatch = LedgerBatch & { topic: string | null }

/** What the ledger knows of a chunk and of the batch that it is for. */
export interface KnownChunk {
  batch: OpenedBatch
  /** The batch's number of chunks, if any stored chunk tells it. */
  total: number | null
  /** The highest number of its stored chunks. */
  highest: number | null
  /** Of the chunk, if it is stored. */
  sha256: Buffer | null
}

const FIND_CHUNK = `
select ${BATCH_COLUMNS}, topic,
  (select max(c.total) from batch_chunks c where c.batch_no = b.no) as total,
  (select max(c.chunk) from batch_chunks c where c.batch_no = b.no) as highest,
  (select c.sha256 from batch_chunks c where c.batch_no = b.no and c.chunk = $3) as sha256
from batches b where id = $1 and dry_run = $2`

export async function findChunk(
  db: Queryable,
  id: string,
  dryRun: boolean,
  chunk: number,
): Promise<KnownChunk | undefined> {
  const { rows } = await db.query<OpenedBatch & Omit<KnownChunk, 'batch'>>({
    name: 'find-chunk',
    text: FIND_CHUNK,
    values: [id, dryRun, chunk],
  })
  if (rows[0] === undefined) return undefined
  const { total, highest, sha256, ...batch } = rows[0]
  return { batch, total: total ?? batch.chunksExpected, highest, sha256 }
}

/**
 * The lane of a batch, which the first who sends a chunk of it chooses: the wire wants all of them on one. Nobody holds
 * the row for long, and nothing else is held meanwhile.
 */
export async function chooseLane(db: Queryable, batch: OpenedBatch, lane: string): Promise<string> {
  if (batch.topic !== null) return batch.topic
  const { rows } = await db.query<{ topic: string }>(
    'update batches set topic = coalesce(topic, $2) where no = $1 returning topic',
    [batch.no, lane],
  )
  if (rows[0] === undefined) throw new Error(`batch ${batch.id} is gone`) // the ledger keeps what is open
  return rows[0].topic
}

/** How far a batch is that is said to have `chunks` chunks. */
export interface KnownChunks {
  batch: OpenedBatch
  total: number | null
  highest: number | null
  /** Stored chunks that are numbered below `chunks`. */
  stored: number
  /** Chunk number `chunks` is stored, and has no rows. */
  closed: boolean
}

const COUNT_CHUNKS = `
select ${BATCH_COLUMNS}, topic, c.* from batches b cross join lateral (
  select max(c.total) as total, max(c.chunk) as highest, count(*) filter (where c.chunk < $3)::int as stored,
    coalesce(bool_or(c.chunk = $3 and c.rows = 0), false) as closed
  from batch_chunks c where c.batch_no = b.no
) c where b.id = $1 and b.dry_run = $2`

export async function countChunks(
  db: Queryable,
  id: string,
  dryRun: boolean,
  chunks: number,
): Promise<KnownChunks | undefined> {
  const { rows } = await db.query<OpenedBatch & Omit<KnownChunks, 'batch'>>({
    name: 'count-chunks',
    text: COUNT_CHUNKS,
    values: [id, dryRun, chunks],
  })
  if (rows[0] === undefined) return undefined
  const { total, highest, stored, closed, ...batch } = rows[0]
  return { batch, total: total ?? batch.chunksExpected, highest, stored, closed }
}

/** The first hundred chunks below `chunks` that are not stored. */
export async function missingChunks(db: Queryable, batchNo: bigint, chunks: number): Promise<number[]> {
  const { rows } = await db.query<{ chunk: number }>(
    `select i as chunk from generate_series(0, $2::int - 1) i
     where not exists (select from batch_chunks where batch_no = $1 and chunk = i) order by i limit 100`,
    [batchNo, chunks],
  )
  return rows.map(({ chunk }) => chunk)
}

export interface StoredChunk {
  chunk: number
  sha256: string
  rows: number
}

const MOST = 5000

/** The stored chunks in their order, some thousands at a time. */
export async function* storedChunks(db: Queryable, batchNo: bigint): AsyncGenerator<StoredChunk[]> {
  for (let after = -1; ;) {
    const { rows } = await db.query<StoredChunk>(
      `select chunk, encode(sha256, 'hex') as sha256, rows from batch_chunks
       where batch_no = $1 and chunk > $2 order by chunk limit ${MOST}`,
      [batchNo, after],
    )
    if (rows.length > 0) yield rows
    if (rows.length < MOST) return
    after = rows.at(-1)!.chunk
  }
}
