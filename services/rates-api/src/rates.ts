import { dailyRates, DayTotals, type DailyRate } from '@rates/core/daily-rates'
import { addPack } from '@rates/core/pack-arrays'
import { formatDay, type RatesQuery } from '@rates/core/rates-query'
import { type Pool } from 'pg'
import { type Catalog } from './catalog.ts'
import { eachRow } from './each-row.ts'
import { explainRates, type ExplainedRate } from './explained-rates.ts'

/**
 * One statement, hence one snapshot: packs, what is hidden, and the catalogue's version belong together. The few packs'
 * arrays are added up here, which is faster than unnesting them in SQL (docs/decisions). The months are told as numbers
 * of days from 1970-01-01. Without packs there is one row, which has the version.
 */
const READ = `
select c.version, p.month - date '1970-01-01', p.days, p.n, p.s
from catalog c
left join price_packs p on p.orig = any ($1::int[]) and p.dest = any ($2::int[])
  and p.month between $3::date and $4::date
  and p.batch_no <> all (array(select batch_no from hidden_batches))`

export class Rates {
  readonly #pool: Pool
  readonly #catalog: Catalog

  constructor(pool: Pool, catalog: Catalog) {
    this.#pool = pool
    this.#catalog = catalog
  }

  read(query: RatesQuery): Promise<DailyRate[] | ExplainedRate[]> {
    return this.#catalog.readWith<DailyRate[] | ExplainedRate[]>(async (catalog) => {
      const origins = idArray(catalog.portIds(query.origin))
      const destinations = idArray(catalog.portIds(query.destination))
      const values = [origins, destinations, firstOfMonth(query.from), firstOfMonth(query.to)] as const
      if (query.explain) return explainRates(this.#pool, query, values)
      const totals = new DayTotals(query.from, query.to)
      let version = ''
      await eachRow(this.#pool, { name: 'read-rates', text: READ, values: [...values] }, ([met, month, days, n, s]) => {
        version = met!
        if (month) addPack(totals, { month: Number(month), days: days!, n: n!, s: s! })
      })
      return { version, answer: () => dailyRates(totals) }
    })
  }
}

const idArray = (ids: readonly number[]): string => `{${ids.join(',')}}`

const firstOfMonth = (day: number): string => `${formatDay(day).slice(0, 8)}01`
