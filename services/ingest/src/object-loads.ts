import { type PinnedVersion } from '@rates/service/object-store'
import type pg from 'pg'

/** How long a loader may be silent before another one takes its load. */
export const LEASE_SECONDS = 30

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
    and o.bucket = any($2)
  order by o.next_at limit 1 for update of o skip locked)
returning no, bucket, object_key as key, version_id as "versionId", etag, sha256, content_type as "contentType",
  content_encoding as "contentEncoding", batch_no as "batchNo", chunks_sent as "chunksSent", attempts, waits,
  extract(epoch from clock_timestamp() - started_at)::float8 as "sinceStarted",
  extract(epoch from clock_timestamp() - refused_since)::float8 as "sinceRefused"`

/** A load that gets on is not what ended the loaders before. A store that lets us look and not read has refused us all the same. */
const RENEW = `
update object_loads l set leased_until = clock_timestamp() + make_interval(secs => ${LEASE_SECONDS}),
  attempts = case when $3 > chunks_sent then 1 else attempts end, waits = case when $3 > chunks_sent then 0 else waits end,
  refused_since = case when $5 = 0 then refused_since end, note = case when $5 = 0 then note end,
  chunks_sent = greatest(chunks_sent, $3), rows_sent = greatest(rows_sent, $4), bytes_read = $5
where no = $1 and leased_by = $2 and state = 'loading'
returning (select state from batches b where b.no = l.batch_no) as state`

const PIN = `
update object_loads set etag = $3, version_id = coalesce(version_id, $4), size = $5
where no = $1 and leased_by = $2 and state = 'loading' and (etag is null or etag = $3)`

const LEAVE = `
update object_loads set state = 'waiting', leased_by = null, leased_until = null, note = $3,
  next_at = clock_timestamp() + make_interval(secs => $4), waits = case when $8 > chunks_sent then 0 else waits end + $5,
  attempts = greatest(case when $8 > chunks_sent then 1 else attempts end - $6, 0),
  refused_since = case when $7 then coalesce(refused_since, clock_timestamp()) end,
  chunks_sent = greatest(chunks_sent, $8)
where no = $1 and leased_by = $2 and state = 'loading'`

const SENT = `
update object_loads set state = 'sent', sent_at = clock_timestamp(), chunks_sent = greatest(chunks_sent, $3),
  rows_sent = greatest(rows_sent, $4), bytes_read = $5,
  attempts = 0, note = null, refused_since = null, leased_by = null, leased_until = null
where no = $1 and leased_by = $2 and state = 'loading'`

const SET_ASIDE = `
update object_loads set state = 'ended', ended_at = clock_timestamp(), quarantined = true, note = $3, leased_by = null,
  leased_until = null, foreign_since = null
where no = $1 and leased_by = $2 and state = 'loading'`

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

  /** From here on it is this version that is loaded, whoever loads it. @returns false if another loader has the load */
  async pin(no: bigint, holder: string, { etag, versionId, size }: PinnedVersion): Promise<boolean> {
    const { rowCount } = await this.pool.query(PIN, [no, holder, etag, versionId ?? null, size])
    return rowCount === 1
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

  /** Ends a row whose batch cannot even be failed. Nobody is answered: that is left to whoever reads the log. */
  async setAside(no: bigint, holder: string, note: string): Promise<void> {
    await this.pool.query(SET_ASIDE, [no, holder, note])
  }
}
