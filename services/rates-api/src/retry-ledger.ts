import { BATCH_ID, type BatchHeaders } from '@rates/core/wire'
import { type PartitionEnds } from '@rates/service/kafka-admin'
import { type Place } from '@rates/service/kafka-fetch'
import { BATCH_COLUMNS, findBatch, openBatch, type LedgerBatch } from '@rates/service/ledger/open'
import { withTransaction } from '@rates/service/postgres'
import { type Pool, type PoolClient } from 'pg'
import { v7 as uuidv7 } from 'uuid'

/** A batch that ended, and what is stored of it. */
export interface Ended extends LedgerBatch {
  /** The topic that it came by; null: none is known. */
  lane: string | null
  errorCode: string | null
  /** Its stored chunks. */
  stored: number
  /** How many it has, if any of them tells. */
  total: number | null
  /** Its first and last record by the broker's clock, of those that are stored. */
  firstAt: Date | null
  lastAt: Date | null
}

/** Where the record of a chunk lies, and what is in it. */
export interface ChunkPlace extends Place {
  chunk: number
  sha256: Buffer
}

/** Why a batch is not run again, as far as the ledger tells. */
export type Standing =
  | { code: 'not_seen_yet' | 'dry_run' | 'not_ended' | 'succeeded' | 'running' | 'id_taken'; other?: string }
  | { code: 'replaced'; by: string | null; other?: string }

type Queryable = Pick<Pool, 'query'>

const FIND = `
select ${BATCH_COLUMNS}, coalesce(topic, c.lane) as lane, error ->> 'code' as "errorCode", replaced_by as "replacedBy",
  stored, total, "firstAt", "lastAt"
from batches b cross join lateral (
  select min(topic) as lane, count(*)::int as stored, max(total) as total, min(record_time) as "firstAt",
    max(record_time) as "lastAt"
  from batch_chunks where batch_no = b.no
) c where b.id = $1 and not b.dry_run`

/**
 * All batches that have the same records: those that this one has again, and those that have theirs. Anybody may name
 * any batch in `retry-of`, also in a circle.
 */
const RELATIVES = `
with recursive up (id, retry_of) as (
  select id, retry_of from batches where id = $1 and not dry_run
  union select b.id, b.retry_of from batches b join up on b.id = up.retry_of where not b.dry_run
), family (id) as (
  select id from up
  union select b.id from batches b join family f on b.retry_of = f.id where not b.dry_run
)
select b.id, b.state, b.replaced_by as "replacedBy" from batches b join family using (id)
where not b.dry_run and b.id <> $1 and b.state in ('open', 'succeeded', 'replaced')
order by b.state = 'open' desc, b.state = 'succeeded' desc, b.no desc limit 1`

/** The batch if it may be run again, or why not. */
export async function findEnded(db: Queryable, id: string): Promise<Ended | Standing> {
  const found = BATCH_ID.test(id)
    ? await db.query<Ended & { replacedBy: string | null }>({ name: 'find-ended', text: FIND, values: [id] })
    : { rows: [] }
  const batch = found.rows[0]
  if (!batch) {
    const dry = BATCH_ID.test(id) && (await findBatch(db, id, true))
    return { code: dry ? 'dry_run' : 'not_seen_yet' }
  }
  if (batch.state === 'open') return { code: 'not_ended' }
  if (batch.state === 'succeeded') return { code: 'succeeded' }
  if (batch.state === 'replaced') return { code: 'replaced', by: batch.replacedBy }
  return (await standingOfRelatives(db, id)) ?? batch
}

/** Prices that are visible by another run must not be visible twice, nor those that were corrected come back. */
async function standingOfRelatives(db: Queryable, id: string): Promise<Standing | undefined> {
  const { rows } = await db.query<{ id: string; state: LedgerBatch['state']; replacedBy: string | null }>({
    name: 'retry-relatives',
    text: RELATIVES,
    values: [id],
  })
  const other = rows[0]
  if (!other) return undefined
  if (other.state === 'open') return { code: 'running', other: other.id }
  if (other.state === 'succeeded') return { code: 'succeeded', other: other.id }
  return { code: 'replaced', by: other.replacedBy, other: other.id }
}

const LOCK = `select pg_advisory_xact_lock(hashtextextended('rates-retry', 0))`

/**
 * Opens the batch that has another one's records again, hidden. One at a time, so that of two who ask at once the second
 * finds what the first one opened. Without an id it gets `<id>.retry-N`.
 */
export function openRetry(
  pool: Pool,
  headers: Omit<BatchHeaders, 'batchId'> & { retryOf: string },
  id: string | undefined,
  topic: string,
): Promise<LedgerBatch | Standing> {
  return withTransaction(pool, async (client) => {
    await client.query(LOCK)
    const standing = await standingOfRelatives(client, headers.retryOf)
    if (standing) return standing
    if (id === undefined) return openNext(client, headers, topic)
    const { batch, opened } = await openBatch(client, { ...headers, batchId: id }, topic, new Date())
    return opened ? batch : { code: 'id_taken', other: id }
  })
}

async function openNext(
  client: PoolClient,
  headers: Omit<BatchHeaders, 'batchId'> & { retryOf: string },
  topic: string,
): Promise<LedgerBatch> {
  for (let n = 1; ; n++) {
    const named = `${headers.retryOf}.retry-${n}`
    const batchId = BATCH_ID.test(named) ? named : uuidv7()
    const { batch, opened } = await openBatch(client, { ...headers, batchId }, topic, new Date())
    if (opened) return batch
  }
}

/** How many of the stored chunks' records are not within these ends, or in none of these topics. */
export async function countGone(
  db: Queryable,
  batchNo: bigint,
  ends: ReadonlyMap<string, readonly PartitionEnds[]>,
): Promise<number> {
  const parts = [...ends].flatMap(([topic, all]) => all.map((part) => ({ topic, ...part })))
  const { rows } = await db.query<{ gone: number }>(
    `select count(*)::int as gone from batch_chunks c where batch_no = $1 and not exists (
       select from unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[]) as e(topic, partition, low, high)
       where e.topic = c.topic and e.partition = c.partition and c.record_offset >= e.low and c.record_offset < e.high)`,
    [
      batchNo,
      parts.map(({ topic }) => topic),
      parts.map(({ partition }) => partition),
      parts.map(({ low }) => low),
      parts.map(({ high }) => high),
    ],
  )
  return rows[0]!.gone
}

const PAGE = 500

/** The stored chunks from one on, in their order. */
export async function placesFrom(db: Queryable, batchNo: bigint, chunk: number): Promise<ChunkPlace[]> {
  const { rows } = await db.query<ChunkPlace>({
    name: 'retry-places',
    text: `select chunk, sha256, topic, partition, record_offset as "offset" from batch_chunks
      where batch_no = $1 and chunk >= $2 order by chunk limit ${PAGE}`,
    values: [batchNo, chunk],
  })
  return rows
}

/** The numbers of the stored chunks. */
export async function storedNumbers(db: Queryable, batchNo: bigint): Promise<number[]> {
  const { rows } = await db.query<{ chunks: number[] }>(
    `select coalesce(array_agg(chunk), '{}') as chunks from batch_chunks where batch_no = $1`,
    [batchNo],
  )
  return rows[0]!.chunks
}
