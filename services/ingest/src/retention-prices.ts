import { failpoint } from '@rates/service/failpoints'
import { withTransaction } from '@rates/service/postgres'
import type pg from 'pg'
import { type PairMonth } from './merge.ts'

/** The packs of some pair-months: $1 to $3 are their columns. */
const OF_MONTHS = `join unnest($1::int[], $2::int[], $3::date[]) g(orig, dest, month)
  on p.orig = g.orig and p.dest = g.dest and p.month = g.month`

/** In the order of their numbers, as everybody who locks several. A batch that is still loading keeps what it has. */
const MARK = `
with held as (
  select no from batches where trimmed_at is null and state <> 'open' and no in (
    select unnest(coalesce(p.batches, array[p.batch_no])) from price_packs p ${OF_MONTHS})
  order by no for no key update
)
update batches b set trimmed_at = clock_timestamp() from held where b.no = held.no`

/** Only what was marked, so that no batch loses prices and does not say so. */
const REMOVE = `
delete from price_packs where ctid in (
  select p.ctid from price_packs p ${OF_MONTHS}
  where not exists (
    select from unnest(coalesce(p.batches, array[p.batch_no])) u(no) join batches b on b.no = u.no where b.trimmed_at is null))`

/** What came or was rewritten while we waited for the batches. */
const LEFT = `
select exists (
  select from price_packs p ${OF_MONTHS}
  where not exists (select from batches b where b.no = p.batch_no and b.state = 'open')) as left`

class Moved extends Error {}

/**
 * Removes all packs of some pair-months, which are too old to be kept, in one transaction: a pair's month goes as a
 * whole, and so do its averages. The batches that lose prices are marked with `trimmed_at` in the same commit.
 * @returns how many packs went; 0 also if somebody else was at work there: the next round comes back
 */
export async function trimStep(pool: pg.Pool, months: readonly PairMonth[]): Promise<number> {
  const values = [months.map(({ orig }) => orig), months.map(({ dest }) => dest), months.map(({ month }) => month)]
  failpoint('before-trim')
  try {
    const removed = await withTransaction(pool, async (client) => {
      await client.query({ name: 'trim-mark', text: MARK, values })
      const { rowCount } = await client.query({ name: 'trim-remove', text: REMOVE, values })
      const { rows } = await client.query<{ left: boolean }>({ name: 'trim-left', text: LEFT, values })
      if (rows[0]!.left) throw new Moved()
      failpoint('inside-trim')
      return rowCount ?? 0
    })
    failpoint('after-trim')
    return removed
  } catch (error) {
    if (error instanceof Moved) return 0
    throw error
  }
}
