import { dailyRates, DayTotals, type DailyRate } from '@rates/core/daily-rates'
import { formatDay, type RatesQuery } from '@rates/core/rates-query'
import { type Pool } from 'pg'

/** A batch that has prices of a day. */
export interface Contribution {
  /** Null where the ledger does not know the batch any more. */
  readonly id: string | null
  readonly source: string | null
  readonly count: number
  readonly sum: number
}

export interface ExplainedRate extends DailyRate {
  /** Those with the most prices first, of these the newest; MAX_BATCHES at most. */
  readonly batches: readonly Contribution[]
  /** How many there are. */
  readonly batchCount: number
}

/** Named for each day. */
export const MAX_BATCHES = 100

/**
 * One statement, hence one snapshot, as the read that it explains. A pack of one batch has that batch's counts and sums;
 * in a merged one the sums of its parts are differences of a running sum over its prices, which lie in the parts' order.
 * All is added up here and not in the service: there may be more parts than it has memory for.
 */
const EXPLAIN = `
with packs as materialized (
  select p.batch_no, p.month, p.days, p.n, p.s, p.batches, p.batch_n, case when p.batches is not null then p.prices end as prices
  from price_packs p
  where p.orig = any ($1::int[]) and p.dest = any ($2::int[]) and p.month between $3::date and $4::date
    and p.batch_no <> all (array(select batch_no from hidden_batches))
), parts as (
  select p.month + u.d::int as day, p.batch_no, u.n::int8, u.s
  from packs p cross join lateral unnest(p.days, p.n, p.s) as u(d, n, s)
  where p.batches is null
  union all
  select p.month + day.d::int, part.batch_no, part.n, (total.upto - lag(total.upto, 1, 0::int8) over pack)::int8
  from (select row_number() over () as no, * from packs where batches is not null) p
  cross join lateral (
    select u.batch_no, u.n, sum(u.n) over (order by u.i) as ends
    from unnest(p.batches, p.batch_n) with ordinality as u(batch_no, n, i)
  ) part
  join lateral (
    select u.i, sum(u.price) over (order by u.i) as upto from unnest(p.prices) with ordinality as u(price, i)
  ) total on total.i = part.ends
  join lateral (
    select u.d, u.n, sum(u.n) over (order by u.i) as ends from unnest(p.days, p.n) with ordinality as u(d, n, i)
  ) day on part.ends > day.ends - day.n and part.ends <= day.ends
  window pack as (partition by p.no order by part.ends)
), contributions as (
  select day, batch_no, sum(n) as n, sum(s) as s from parts where day between $5::date and $6::date group by day, batch_no
), ranked as (
  select *, row_number() over (partition by day order by n desc, batch_no desc) as rank,
    count(*) over whole as batches, sum(n) over whole as day_n, sum(s) over whole as day_s
  from contributions window whole as (partition by day)
)
select c.version::text as version, r.day - date '1970-01-01' as day, r.batches::int, r.day_n::text, r.day_s::text,
  b.id, b.source, r.n::float8 as count, r.s::float8 as sum
from catalog c left join ranked r on r.rank <= ${MAX_BATCHES} left join batches b on b.no = r.batch_no
order by r.day, r.rank`

interface Row extends Contribution {
  version: string
  /** Null in the only row where there are no prices at all. */
  day: number | null
  batches: number
  day_n: string
  day_s: string
}

/** The rates of a query, and the batches behind each day; `places`: arrays of origins and destinations, the months. */
export async function explainRates(
  pool: Pool,
  { from, to }: RatesQuery,
  places: readonly string[],
): Promise<{ version: string; answer: () => ExplainedRate[] }> {
  const range = [formatDay(from), formatDay(to)]
  const { rows } = await pool.query<Row>({ name: 'explain-rates', text: EXPLAIN, values: [...places, ...range] })
  const totals = new DayTotals(from, to)
  const days = Map.groupBy(rows, ({ day }) => day)
  for (const [day, [first]] of days) {
    if (day !== null) totals.add(day, Number(first!.day_n), exact(first!.day_s))
  }
  const answer = (): ExplainedRate[] =>
    dailyRates(totals).map((rate, i) => {
      const named = days.get(to - i) ?? []
      const batches = named.map(({ id, source, count, sum }) => ({ id, source, count, sum }))
      return { ...rate, batches, batchCount: named[0]?.batches ?? 0 }
    })
  return { version: rows[0]!.version, answer }
}

const exact = (sum: string): number | bigint => (Number.isSafeInteger(Number(sum)) ? Number(sum) : BigInt(sum))
