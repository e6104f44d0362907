import { type Pool } from 'pg'

/** A batch by what its readers call it. */
export interface BatchName {
  readonly id: string
  readonly dryRun: boolean
}

export const keyOf = ({ id, dryRun }: BatchName): string => (dryRun ? `${id}?` : id)

/** What a look saw of a batch: enough to tell that it has changed. */
export interface Seen extends BatchName {
  readonly no: bigint
  readonly open: boolean
  /** Its prices are hidden for good, and will be purged. */
  readonly unpurged: boolean
  /** It may have changed since the look before; else it is known, or older than what is followed. */
  readonly news: boolean
  /** Another text whenever the batch may look different. */
  readonly signature: string
}

export interface Look {
  readonly batches: readonly Seen[]
  readonly mark: Mark
}

/** Where the ledger was at a look, by its transactions. */
export interface Mark {
  /** Every transaction below it had ended then. */
  readonly xmin: bigint
  /** No transaction from it on had begun. */
  readonly xmax: bigint
  /** The highest number of a batch that was seen. */
  readonly no: bigint
  /** By PostgreSQL's clock, in seconds. */
  readonly at: number
}

/** What a look asks for. */
export interface Question {
  /** Whether all batches are followed; else only those that are named. */
  readonly all: boolean
  readonly names: readonly BatchName[]
  /** Numbers of batches that something is to happen to yet: open at the look before, or to be purged. */
  readonly unsettled: readonly bigint[]
  /** Everything up to here was seen; undefined at the first look. */
  readonly since: { readonly no: bigint; readonly at: number } | undefined
}

/** Of batches that nothing has happened to: they may still be purged, and a caller that comes sees the newest. */
const NEWEST = 200
/** Of those that came or were hidden since: more are there only while a transaction stays open for very long. */
const NEWER = 2_000
/** Another server may lead since the last look, with another clock. */
const CLOCKS_DIFFER_SECONDS = 5

/**
 * Which batches there is something to know about, and marks of what they are like. Chunks are counted of open batches
 * only. `hidden`: batches of any age that were reverted or replaced, and those that are shown again for that; by now(),
 * since an index is not searched for what changes within a statement.
 */
const LOOK = `
with hidden as materialized (
  select no, state, replaces from batches
  where $1 and hidden_at > coalesce(to_timestamp($6), now()) - make_interval(secs => ${CLOCKS_DIFFER_SECONDS})
  order by hidden_at desc limit ${NEWER}
), found as (
  select no, true as news from batches where $1 and state = 'open'
  union all (select no, false from batches where $1 order by no desc limit ${NEWEST})
  union all (select no, true from batches where $1 and no > $5 order by no desc limit ${NEWER})
  union all select no, true from hidden
  union all select b.no, true from hidden h join batches b on b.id = h.replaces and not b.dry_run where h.state = 'reverted'
  union all select no, true from batches where no = any($2)
  union all select b.no, false from unnest($3::text[], $4::boolean[]) as named(id, dry_run) join batches b using (id, dry_run)
)
select pg_snapshot_xmin(at.snapshot)::text::int8 as xmin, pg_snapshot_xmax(at.snapshot)::text::int8 as xmax,
  extract(epoch from clock_timestamp())::float8 as at,
  b.no, b.id, b.dry_run as "dryRun", b.state, f.news,
  b.state in ('failed', 'cancelled', 'reverted') and b.purged_at is null as unpurged,
  concat_ws(' ', b.state, extract(epoch from b.hidden_at), extract(epoch from b.purged_at)) as signature,
  case when b.state = 'open' then (select count(*) from batch_chunks c where c.batch_no = b.no) end as chunks,
  case when b.state = 'open' then (select u.rows from uploads u where u.batch_no = b.no) end as uploaded
from (select pg_current_snapshot() as snapshot) at
left join (select no, bool_or(news) as news from found group by no) f on true
left join batches b on b.no = f.no
order by b.no`

interface Row extends BatchName {
  xmin: bigint
  xmax: bigint
  at: number
  no: bigint | null
  state: string
  news: boolean
  unpurged: boolean
  signature: string
  chunks: bigint | null
  uploaded: bigint | null
}

/** An open batch's rate and its expected end go on changing while no chunk comes. */
const STALE_SECONDS = 5

/** One statement, whatever is followed. */
export async function look(pool: Pool, { all, names, unsettled, since }: Question): Promise<Look> {
  const { rows } = await pool.query<Row>({
    name: 'batch-feed',
    text: LOOK,
    values: [all, unsettled, names.map(({ id }) => id), names.map(({ dryRun }) => dryRun), since?.no, since?.at],
  })
  const { xmin, xmax, at } = rows[0]!
  const batches = rows.flatMap(({ no, state, chunks, uploaded, signature, ...row }): Seen[] => {
    if (no === null) return []
    const loads = chunks ? `${chunks} ${uploaded} ${Math.floor(at / STALE_SECONDS)}` : `${uploaded}`
    const isOpen = state === 'open'
    const { id, dryRun, news, unpurged } = row
    return [{ no, id, dryRun, open: isOpen, unpurged, news, signature: isOpen ? `${signature} ${loads}` : signature }]
  })
  return { batches, mark: { xmin, xmax, no: batches.at(-1)?.no ?? 0n, at } }
}

/** Numbers are taken before the transaction has a number of its own, by a moment. */
const NUMBERS_AHEAD = 100n

/**
 * Up to where nothing new can appear. Batches do not come in the order of their numbers, nor are they hidden in the
 * order of their times: a transaction takes both, and is seen when it commits. So a mark counts only once every
 * transaction has ended that had begun by then.
 */
export class LowWater {
  #since: { no: bigint; at: number } | undefined
  #next: Mark | undefined

  get since(): { readonly no: bigint; readonly at: number } | undefined {
    return this.#since
  }

  saw(mark: Mark): void {
    // A ledger that was restored counts its transactions from lower on: the old marks would not be passed for long.
    if (this.#since === undefined || this.#next === undefined || mark.xmax < this.#next.xmax) {
      this.#since = before(mark)
      this.#next = mark
    } else if (mark.xmin >= this.#next.xmax) {
      this.#since = before(this.#next)
      this.#next = mark
    }
  }

  forget(): void {
    this.#since = undefined
    this.#next = undefined
  }
}

const before = ({ no, at }: Mark): { no: bigint; at: number } => ({ no: no - NUMBERS_AHEAD, at })
