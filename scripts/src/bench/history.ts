import { benchPairs, FIRST_YEAR, seeded } from './rows.ts'
import { type Site } from './site.ts'

/** Prices of a pack of history: 19 days have three and nine have two. */
const PRICES_A_PACK = 75
const VARIANTS = 64

/** Arrays of a pack as PostgreSQL takes them. */
export interface Variant {
  days: number[]
  n: number[]
  s: number[]
  prices: number[]
}

/** Contents of packs, which differ in their prices: sums and counts are those of the prices. */
export function variants(count = VARIANTS): Variant[] {
  const random = seeded(3)
  return Array.from({ length: count }, () => {
    const days = Array.from({ length: 28 }, (_, day) => day)
    const n = days.map((day) => (day % 3 === 2 ? 2 : 3))
    const byDay = n.map((times) => Array.from({ length: times }, () => 500 + Math.floor(random() * 5_000)))
    return { days, n, s: byDay.map((prices) => prices.reduce((sum, price) => sum + price, 0)), prices: byDay.flat() }
  })
}

/** Months of history before the first month of the benchmark's rows, so that about so many rows come together. */
export const historyMonths = (rows: number): number =>
  Math.max(1, Math.round(rows / (benchPairs.length * PRICES_A_PACK)))

const made = new WeakMap<Site, { rows: number; months: number }>()

/**
 * Fills the product's tables with months of all pairs, recorded in the ledger as batches of two months each. Written as
 * packs by SQL: by the whole line it would take two minutes and be the same. @returns what there is
 */
export async function makeHistory(
  site: Site,
  rows: number,
  step: (text: string) => void,
): Promise<{ rows: number; months: number }> {
  const before = made.get(site)
  const { rows: there } = await site.db.query<{ there: boolean }>(
    `select exists (select from batches where source = 'history') as there`,
  )
  if (before && there[0]!.there) return before
  const months = historyMonths(rows)
  const packs = months * benchPairs.length
  step(`  writing ${packs * PRICES_A_PACK} rows of history as ${packs} packs`)
  const started = performance.now()
  const client = await site.db.connect()
  try {
    await client.query('create temp table variants (v int, days smallint[], n int[], s bigint[], prices int[])')
    for (const [v, { days, n, s, prices }] of variants().entries()) {
      await client.query('insert into variants values ($1, $2, $3, $4, $5)', [v, days, n, s, prices])
    }
    await client.query('analyze variants')
    for (let month = 0; month < months; month += 2) {
      const count = Math.min(2, months - month)
      const first = new Date(Date.UTC(FIRST_YEAR, month - months, 1)).toISOString().slice(0, 10)
      await client.query('begin')
      const { rows: batch } = await client.query<{ no: string }>(
        `insert into batches (id, state, source, finished_at, chunks_expected, rows_accepted, rows_rejected)
         values ($1, 'succeeded', 'history', clock_timestamp(), 1, $2, 0) returning no`,
        [`history-${first}`, count * benchPairs.length * PRICES_A_PACK],
      )
      await client.query(
        `insert into price_packs (batch_no, orig, dest, month, days, n, s, prices)
         select $1, o.id, d.id, ($2::date + make_interval(months => m))::date, v.days, v.n, v.s, v.prices
         from ports o cross join ports d cross join generate_series(0, $3 - 1) m
         join variants v on v.v = (o.id * 7 + d.id * 13 + m) % $4
         where o.id <> d.id order by o.id, d.id, m`,
        [batch[0]!.no, first, count, VARIANTS],
      )
      await client.query('commit')
    }
    await client.query('drop table variants')
    await client.query('vacuum analyze price_packs')
  } finally {
    client.release()
  }
  step(`  history took ${((performance.now() - started) / 1000).toFixed(0)} s`)
  const result = { rows: packs * PRICES_A_PACK, months }
  made.set(site, result)
  return result
}
