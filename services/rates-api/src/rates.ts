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
const read = (places: string): string => `
select c.version, p.month - date '1970-01-01', p.days, p.n, p.s
from catalog c
left join price_packs p on ${places}
  and p.month between $3::date and $4::date
  and p.batch_no <> all (array(select batch_no from hidden_batches))`

/**
 * Of one port to one port by plain numbers: PostgreSQL plans a prepared statement with arrays anew each time, for not
 * knowing their lengths, which takes longer than this one's execution (106 and 44 µs of a backend's time for a read).
 */
const READ_PAIR = { name: 'read-pair', text: read('p.orig = $1::int and p.dest = $2::int') }
const READ_PLACES = { name: 'read-places', text: read('p.orig = any ($1::int[]) and p.dest = any ($2::int[])') }

export class Rates {
  readonly #pool: Pool
  readonly #catalog: Catalog

  constructor(pool: Pool, catalog: Catalog) {
    this.#pool = pool
    this.#catalog = catalog
  }

  read(query: RatesQuery): Promise<DailyRate[] | ExplainedRate[]> {
    return this.#catalog.readWith<DailyRate[] | ExplainedRate[]>(async (catalog) => {
      const origins = catalog.portIds(query.origin)
      const destinations = catalog.portIds(query.destination)
      const months = [firstOfMonth(query.from), firstOfMonth(query.to)]
      const places = [idArray(origins), idArray(destinations), ...months]
      if (query.explain) return explainRates(this.#pool, query, places)
      const statement =
        origins.length === 1 && destinations.length === 1
          ? { ...READ_PAIR, values: [origins[0], destinations[0], ...months] }
          : { ...READ_PLACES, values: places }
      const totals = new DayTotals(query.from, query.to)
      let version = ''
      await eachRow(this.#pool, statement, ([met, month, days, n, s]) => {
        version = met!
        if (month) addPack(totals, { month: Number(month), days: days!, n: n!, s: s! })
      })
      return { version, answer: () => dailyRates(totals) }
    })
  }
}

const idArray = (ids: readonly number[]): string => `{${ids.join(',')}}`

const firstOfMonth = (day: number): string => `${formatDay(day).slice(0, 8)}01`
