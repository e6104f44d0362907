import { type BatchError } from '@rates/core/batch'
import { endEarlyIn } from '@rates/service/ledger/end-early'
import { type ReplySettings } from '@rates/service/ledger/finish'
import { type PinnedVersion } from '@rates/service/object-store'
import { withTransaction } from '@rates/service/postgres'
import type pg from 'pg'
import { type LoadOutcome } from './object-metrics.ts'

/** How long a loader may be silent before another one takes its load. */
export const LEASE_SECONDS = 30
/** Rows of a bucket that is not on this worker's list: others, of a roll-out, may know it already. */
const FOREIGN_MINUTES = 10

/** A row of object_loads that a loader has taken. */
export interface ObjectLoad {
  no: bigint
  bucket: string
  key: string
  versionId: string | null
  etag: string | null
  sha256: Buffer | null
  contentType: string | null
  contentEncoding: string | null
  /** Null until it is bound. */
  batchNo: bigint | null
  /** Acknowledged by Kafka when others had it. */
  chunksSent: number
  /** Loaders that took it and did not come back, and this one. */
  attempts: number
  waits: number
  /** Since it was taken for the first time. */
  sinceStarted: number
  /** Since the store began to refuse us. */
  sinceRefused: number | null
}

const TAKE = `
update object_loads l set state = 'loading', leased_by = $1, leased_until = clock_timestamp() + make_interval(secs => ${LEASE_SECONDS}),
  attempts = attempts + 1, started_at = coalesce(started_at, clock_timestamp())
where no = (
  select o.no from object_loads o left join batches b on b.no = o.batch_no
  where o.state in ('waiting', 'loading') and o.next_at <= now() and (o.leased_until is null or o.leased_until < now())
    and (b.no is null or b.state = 'open')
    and (o.bucket = any($2) or o.created_at < now() - make_interval(mins => ${FOREIGN_MINUTES}))
  order by o.next_at limit 1 for update of o skip locked)
returning no, bucket, object_key as key, version_id as "versionId", etag, sha256, content_type as "contentType",
  content_encoding as "contentEncoding", batch_no as "batchNo", chunks_sent as "chunksSent", attempts, waits,
  extract(epoch from clock_timestamp() - started_at)::float8 as "sinceStarted",
  extract(epoch from clock_timestamp() - refused_since)::float8 as "sinceRefused"`

const RENEW = `
update object_loads l set leased_until = clock_timestamp() + make_interval(secs => ${LEASE_SECONDS}),
  chunks_sent = greatest(chunks_sent, $3), rows_sent = greatest(rows_sent, $4), bytes_read = $5
where no = $1 and leased_by = $2 and state = 'loading'
returning (select state from batches b where b.no = l.batch_no) as state`

const LEAVE = `
update object_loads set state = 'waiting', leased_by = null, leased_until = null, note = $3,
  next_at = clock_timestamp() + make_interval(secs => $4), waits = waits + $5, attempts = greatest(attempts - $6, 0),
  refused_since = case when $7 then coalesce(refused_since, clock_timestamp()) end,
  chunks_sent = greatest(chunks_sent, $8)
where no = $1 and leased_by = $2 and state = 'loading'`

const SENT = `
update object_loads set state = 'sent', sent_at = clock_timestamp(), chunks_sent = $3, rows_sent = $4, bytes_read = $5,
  attempts = 0, note = null, refused_since = null, leased_by = null, leased_until = null
where no = $1 and leased_by = $2 and state = 'loading'`

const FAIL = `
update object_loads set quarantined = $3, note = null, refused_since = null, leased_by = null, leased_until = null
where no = $1 and leased_by = $2 and state = 'loading'`

/** Also those that nobody has begun. What repeats the object of a batch is tagged as that is. */
const END = `
with ended as (
  update object_loads l set state = 'ended', ended_at = clock_timestamp(), note = null, leased_by = null, leased_until = null,
    tag_at = case when l.bucket = any($1) and not b.dry_run then clock_timestamp() end
  from batches b
  where b.no = l.batch_no and b.state <> 'open' and l.no in (
    select no from object_loads where state in ('waiting', 'loading') union all
    select no from object_loads where state = 'sent')
  returning l.no, l.batch_no, l.quarantined, b.state, b.dry_run
), to_tag as (
  update object_loads l set tag_at = clock_timestamp(), tag_attempts = 0
  from ended e where l.batch_no = e.batch_no and l.no <> e.no and l.bucket = any($1) and not e.dry_run
)
select no, case when quarantined then 'quarantined' when state in ('failed', 'cancelled') then state else 'succeeded' end as outcome
from ended`

/** How far a load is. */
export interface LoadProgress {
  chunks: number
  rows: number
  bytes: number
}

/** Why a load is left off, for now. */
export interface Leaving {
  /** Whether this loader came back: one that did not counts as ended by the object. */
  came: boolean
  /** Before it is taken again. */
  seconds: number
  note: string | null
  refused?: boolean
  chunks: number
}

/** The table object_loads, as loaders work with it. `holder`: names this loader and this load of it, and no other. */
export class ObjectLoads {
  readonly pool: pg.Pool
  private readonly buckets: readonly string[]

  constructor(pool: pg.Pool, buckets: readonly string[]) {
    this.pool = pool
    this.buckets = buckets
  }

  /** The load that is due for the longest time, if there is one. */
  async take(holder: string): Promise<ObjectLoad | undefined> {
    const { rows } = await this.pool.query<ObjectLoad>({
      name: 'take-object',
      text: TAKE,
      values: [holder, this.buckets],
    })
    return rows[0]
  }

  /** Keeps the lease and notes how far it is. @returns the batch's state, null before it is bound; undefined: the lease is lost */
  async renew(no: bigint, holder: string, { chunks, rows, bytes }: LoadProgress): Promise<string | null | undefined> {
    const values = [no, holder, chunks, rows, bytes]
    const renewed = await this.pool.query<{ state: string | null }>({ name: 'renew-object', text: RENEW, values })
    return renewed.rows[0]?.state
  }

  /** From here on it is this version that is loaded, whoever loads it. */
  async pin(no: bigint, holder: string, { etag, versionId, size }: PinnedVersion): Promise<void> {
    await this.pool.query(
      `update object_loads set etag = $3, version_id = coalesce(version_id, $4), size = $5, refused_since = null, note = null
       where no = $1 and leased_by = $2 and state = 'loading'`,
      [no, holder, etag, versionId ?? null, size],
    )
  }

  /** Whoever comes back is no loader that its object has ended, whether the lease is still its own or not. */
  async leave(no: bigint, holder: string, leaving: Leaving): Promise<void> {
    const { came, seconds, note, refused = false, chunks } = leaving
    const values = [no, holder, note, seconds, seconds > 0 ? 1 : 0, came ? 1 : 0, refused, chunks]
    const { rowCount } = await this.pool.query(LEAVE, values)
    if (rowCount === 1 || !came) return
    await this.pool.query(
      `update object_loads set attempts = attempts - 1 where no = $1 and attempts > 0 and state = 'loading'`,
      [no],
    )
  }

  /** All chunks are acknowledged. @returns false if the lease was lost, or the batch ended */
  async sent(no: bigint, holder: string, { chunks, rows, bytes }: LoadProgress): Promise<boolean> {
    const { rowCount } = await this.pool.query(SENT, [no, holder, chunks, rows, bytes])
    return rowCount === 1
  }

  /** Fails the batch, if the lease is still this loader's. @returns whether it had not ended before */
  async fail(
    { no, batchNo, holder }: { no: bigint; batchNo: bigint; holder: string },
    error: BatchError,
    replies: ReplySettings,
    quarantined: boolean,
  ): Promise<boolean> {
    return withTransaction(this.pool, async (client) => {
      const { rowCount } = await client.query(FAIL, [no, holder, quarantined])
      return rowCount === 1 && endEarlyIn(client, batchNo, 'failed', error, replies)
    })
  }

  /** Ends the rows of batches that have ended, however they did. @returns their outcomes */
  async end(): Promise<LoadOutcome[]> {
    const { rows } = await this.pool.query<{ outcome: LoadOutcome }>({
      name: 'end-objects',
      text: END,
      values: [this.buckets],
    })
    return rows.map(({ outcome }) => outcome)
  }

  /** What is not sent yet: how many, and since when (seconds since 1970; 0: there is none). */
  async waiting(): Promise<{ count: number; oldest: number }> {
    const { rows } = await this.pool.query<{ count: number; oldest: number }>(
      `select count(*)::int as count, coalesce(extract(epoch from min(created_at)), 0)::float8 as oldest
       from object_loads where state in ('waiting', 'loading')`,
    )
    return rows[0]!
  }
}
