import { type ReplySettings } from '@rates/service/ledger/finish'
import { addressOf } from '@rates/service/object-store'
import type pg from 'pg'
import { failLoad } from './object-fail.ts'
import { type LoadOutcome } from './object-metrics.ts'

/** Workers of a roll-out may know a bucket before the others do. */
const FOREIGN_MINUTES = 10
/** Rows that one statement is about at most. */
const TOGETHER = 1_000

/**
 * Also those that nobody has begun. What repeats the object of a batch is tagged as that is. Two small indexes are held
 * against each other: with 100 000 rows that wait that is 50 ms, however many batches there were before (joined to those that ended: 200 ms with 300 000 of them).
 */
const END = `
with over as materialized (
  select o.batch_no from object_loads o where o.state <> 'ended' and o.batch_no is not null
    and not exists (select from batches b where b.no = o.batch_no and b.state = 'open') limit ${TOGETHER}
), ended as (
  update object_loads l set state = 'ended', ended_at = clock_timestamp(), note = null, leased_by = null, leased_until = null,
    foreign_since = null,
    tag_at = case when not b.dry_run and b.error ->> 'code' is distinct from 'bucket_not_allowed' then clock_timestamp() end
  from over o join batches b on b.no = o.batch_no
  where l.state <> 'ended' and l.batch_no = o.batch_no and b.state <> 'open'
  returning l.no, l.batch_no, l.quarantined, l.tag_at, b.state
), to_tag as (
  update object_loads l set tag_at = clock_timestamp(), tag_attempts = 0
  from ended e where l.batch_no = e.batch_no and l.no <> e.no and e.tag_at is not null
)
select no, case when quarantined then 'quarantined' when state in ('failed', 'cancelled') then state else 'succeeded' end as outcome
from ended`

const MARK_FOREIGN = `
update object_loads set foreign_since = clock_timestamp() where no in (
  select no from object_loads where state in ('waiting', 'loading') and foreign_since is null and bucket <> all($1)
  order by next_at limit ${TOGETHER} for update skip locked)`

const CLAIM_OURS = `
update object_loads set foreign_since = null where no in (
  select no from object_loads
  where foreign_since is not null and state in ('waiting', 'loading') and bucket = any($1) for update skip locked)`

const FOREIGN = `
select no, bucket, object_key as key from object_loads
where foreign_since < now() - make_interval(mins => ${FOREIGN_MINUTES}) and state in ('waiting', 'loading')
  and bucket <> all($1) and (leased_until is null or leased_until < now())
order by foreign_since limit 100`

/** Ends requests for objects: a worker does it that leads, whether it may load objects itself or not. */
export class ObjectEnds {
  private readonly pool: pg.Pool
  private readonly buckets: readonly string[]
  private readonly replies: ReplySettings

  constructor(pool: pg.Pool, buckets: readonly string[], replies: ReplySettings) {
    this.pool = pool
    this.buckets = buckets
    this.replies = replies
  }

  /** Ends the rows of batches that have ended, however they did. @returns their outcomes */
  async end(): Promise<LoadOutcome[]> {
    const outcomes: LoadOutcome[] = []
    for (let found = TOGETHER; found >= TOGETHER;) {
      const { rows } = await this.pool.query<{ outcome: LoadOutcome }>({ name: 'end-objects', text: END })
      outcomes.push(...rows.map(({ outcome }) => outcome))
      found = rows.length
    }
    return outcomes
  }

  /**
   * Fails what no worker may load for so long: their lists do not have its bucket (any more). It counts from when that
   * was seen, not from when it was asked for, and ends where a worker that has the bucket says so.
   * @returns what became of each
   */
  async failForeign(): Promise<Awaited<ReturnType<typeof failLoad>>[]> {
    await this.pool.query(MARK_FOREIGN, [this.buckets])
    const { rows } = await this.pool.query<{ no: bigint; bucket: string; key: string }>(FOREIGN, [this.buckets])
    const done = []
    for (const { no, ...place } of rows) {
      const message = `${addressOf(place)}: objects of bucket ${place.bucket} are not loaded`
      const error = { code: 'bucket_not_allowed', message } as const
      done.push(await failLoad(this.pool, { no, holder: null }, error, { replies: this.replies }))
    }
    return done
  }

  /** What another worker took for foreign is not, where this one may load it. */
  async claimOurs(): Promise<void> {
    await this.pool.query({ name: 'claim-objects', text: CLAIM_OURS, values: [this.buckets] })
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
