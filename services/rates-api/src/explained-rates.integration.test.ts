import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type z } from 'zod'
import { ratesSchema } from './schemas.ts'
import { seedCatalog, seedPrices, startTestApp, type Price, type TestApp } from './test-app.ts'

let api: TestApp
beforeAll(async () => {
  api = await startTestApp()
  await seedCatalog(api.pool, ['asia', 'europe'], ['CNSHA:asia', 'CNNGB:asia', 'NLRTM:europe', 'DEHAM:europe'])
})
afterAll(() => api.close())

type Rate = z.output<typeof ratesSchema>['rates'][number]

async function ask(range: string, more: Record<string, string> = {}): Promise<{ status: number; rates: Rate[] }> {
  const [date_from, date_to] = range.split(' ') as [string, string]
  const asked = new URLSearchParams({ date_from, date_to, orig_code: 'CNSHA', dest_code: 'NLRTM', ...more })
  const { status, body } = await api.get(`/rates?${asked}`)
  return { status, rates: status === 200 ? ratesSchema.parse(body).rates : [] }
}
const explain = async (range: string, more = {}): Promise<Rate[]> => {
  const { rates } = await ask(range, { explain: 'true', ...more })
  // The averages are those that everybody is told.
  expect(rates.map(({ count, day, price }) => ({ count, day, price }))).toEqual((await ask(range, more)).rates)
  return rates
}
const price = (day: string, price: number, pair = 'CNSHA NLRTM'): Price => {
  const [orig, dest] = pair.split(' ') as [string, string]
  return [orig, dest, day, price]
}

/** Each pair's packs of a month become one, as migration 0002 describes it; those that are merged already stay. */
const MERGE = `
with gone as (
  delete from price_packs where month = $1 and batches is null
    and batch_no <> all (array(select batch_no from hidden_batches)) returning *
), rows as (
  select orig, dest, month, batch_no, day.d, price.price from gone cross join lateral (
    select u.d, u.n, sum(u.n) over (order by u.i) - u.n as before from unnest(days, n) with ordinality as u(d, n, i)
  ) day cross join lateral unnest(prices[day.before + 1 : day.before + day.n]) as price(price)
), parts as (
  select orig, dest, d, batch_no, count(*)::int as n from rows group by 1, 2, 3, 4
), totals as (
  select orig, dest, d, count(*)::int as n, sum(price) as s from rows group by 1, 2, 3
)
insert into price_packs
select max(batch_no), orig, dest, month,
  (select array_agg(d order by d) from totals t where (t.orig, t.dest) = (r.orig, r.dest)),
  (select array_agg(n order by d) from totals t where (t.orig, t.dest) = (r.orig, r.dest)),
  (select array_agg(s order by d) from totals t where (t.orig, t.dest) = (r.orig, r.dest)),
  array_agg(price order by d, batch_no),
  (select array_agg(batch_no order by d, batch_no) from parts p where (p.orig, p.dest) = (r.orig, r.dest)),
  (select array_agg(n order by d, batch_no) from parts p where (p.orig, p.dest) = (r.orig, r.dest))
from rows r group by orig, dest, month`
const merge = (month: string): Promise<unknown> => api.pool.query(MERGE, [month])

describe('GET /rates?explain=true', () => {
  it('names whose prices a day has, those with the most first, then the newest', async () => {
    await seedPrices(api.pool, 'e1', [price('2021-01-30', 100), price('2021-01-30', 300), price('2021-01-31', 7)])
    await seedPrices(api.pool, 'e2', [price('2021-01-30', 1000), price('2021-02-01', 5)])
    await seedPrices(api.pool, 'e3', [price('2021-01-30', 2000), price('2021-01-28', 5)])
    await api.pool.query(`update batches set source = 'acme' where id = 'e2'`)
    const expected: Rate[] = [
      {
        count: 1,
        day: '2021-01-31',
        price: null,
        batches: [{ id: 'e1', source: null, count: 1, sum: 7 }],
        batchCount: 1,
      },
      {
        count: 4,
        day: '2021-01-30',
        price: 850,
        batches: [
          { id: 'e1', source: null, count: 2, sum: 400 },
          { id: 'e3', source: null, count: 1, sum: 2000 },
          { id: 'e2', source: 'acme', count: 1, sum: 1000 },
        ],
        batchCount: 3,
      },
      { count: null, day: '2021-01-29', price: null, batches: [], batchCount: 0 },
    ]
    expect(await explain('2021-01-29 2021-01-31')).toEqual(expected)
    await merge('2021-01-01')
    expect(await explain('2021-01-29 2021-01-31')).toEqual(expected)
  })

  it('is CSV, too: a line for each day and batch', async () => {
    await seedPrices(api.pool, 'csv-1', [price('2021-09-30', 100), price('2021-09-30', 300)])
    await seedPrices(api.pool, 'csv-2', [price('2021-09-30', 1000), price('2021-09-28', 5)])
    await api.pool.query(`update batches set source = 'a "b", c' where id = 'csv-2'`)
    await api.pool.query(
      `insert into price_packs (batch_no, orig, dest, month, days, n, s, prices)
       select 888888, o.id, d.id, '2021-09-01', '{26}', '{1}', '{9}', '{9}'
       from ports o, ports d where o.code = 'CNSHA' and d.code = 'NLRTM'`,
    )
    const asked = { date_from: '2021-09-27', date_to: '2021-09-30', orig_code: 'CNSHA', dest_code: 'NLRTM' }
    const { type, body } = await api.get(`/rates?${new URLSearchParams({ ...asked, explain: 'true', format: 'csv' })}`)
    expect(type).toBe('text/csv; charset=utf-8')
    expect((body as string).split('\r\n')).toEqual([
      'day,count,price,batch_count,batch,source,batch_prices,batch_sum',
      '2021-09-30,3,466.6666666666667,2,csv-1,,2,400',
      '2021-09-30,3,466.6666666666667,2,csv-2,"a ""b"", c",1,1000',
      '2021-09-29,,,0,,,,',
      '2021-09-28,1,,1,csv-2,"a ""b"", c",1,5',
      '2021-09-27,1,,1,,,1,9',
      '',
    ])
  })

  it('says nothing of a batch that is hidden', async () => {
    await seedPrices(api.pool, 'h1', [price('2021-03-01', 1), price('2021-03-01', 2), price('2021-03-01', 3)])
    const hidden = await seedPrices(api.pool, 'h2', [price('2021-03-01', 4)], true)
    const whose = async (): Promise<unknown> =>
      (await explain('2021-03-01 2021-03-01'))[0]!.batches!.map(({ id }) => id)
    expect(await whose()).toEqual(['h1'])
    await api.pool.query('delete from hidden_batches where batch_no = $1', [hidden])
    expect(await whose()).toEqual(['h1', 'h2'])
  })

  it('adds up what a batch has in several packs, pairs and months, merged or not', async () => {
    const pairs = ['CNSHA NLRTM', 'CNSHA DEHAM', 'CNNGB NLRTM', 'CNNGB DEHAM']
    const expected = new Map<string, { count: number; sum: number }>()
    for (let batch = 0; batch < 12; batch++) {
      const prices = Array.from({ length: 60 + batch }, () => {
        const day = `2021-0${4 + Math.floor(Math.random() * 3)}-${10 + Math.floor(Math.random() * 5)}`
        const amount = Math.ceil(Math.random() * 2_147_483_647)
        const key = `${day} m${batch}`
        const { count, sum } = expected.get(key) ?? { count: 0, sum: 0 }
        expected.set(key, { count: count + 1, sum: sum + amount })
        return price(day, amount, pairs[Math.floor(Math.random() * 4)])
      })
      await seedPrices(api.pool, `m${batch}`, prices.slice(0, 30))
      // More packs of the same batch, as of another chunk.
      const more = await seedPrices(api.pool, `m${batch}-more`, prices.slice(30))
      await api.pool.query(
        `update price_packs set batch_no = (select no from batches where id = $2) where batch_no = $1`,
        [more, `m${batch}`],
      )
      if (batch === 5) await merge('2021-05-01')
      if (batch === 8) await merge('2021-06-01')
    }
    await merge('2021-05-01') // a second pack, beside the one that was merged before
    const { rows } = await api.pool.query<{ merged: number; plain: number }>(
      `select count(*) filter (where batches is not null)::int as merged, count(*) filter (where batches is null)::int as plain
       from price_packs where month between '2021-04-01' and '2021-06-01'`,
    )
    expect([rows[0]!.merged, rows[0]!.plain > 50]).toEqual([12, true])
    const told = new Map<string, { count: number; sum: number }>()
    for (const { day, batches } of await explain('2021-04-01 2021-06-30', { orig_code: 'asia', dest_code: 'europe' })) {
      for (const { id, count, sum } of batches!) told.set(`${day} ${id}`, { count, sum })
    }
    expect(told).toEqual(expected)
  })

  it('names 100 batches of a day at most, and how many there are', async () => {
    for (let i = 0; i < 103; i++) {
      await seedPrices(api.pool, `x${i}`, Array(1 + (i % 3)).fill(price('2021-07-01', i + 1)) as Price[])
    }
    const [day] = await explain('2021-07-01 2021-07-01')
    expect([day!.batches!.length, day!.batchCount, day!.count]).toEqual([100, 103, 34 * 3 + 34 * 2 + 35])
    expect(day!.batches!.slice(0, 2)).toEqual([
      { id: 'x101', source: null, count: 3, sum: 306 },
      { id: 'x98', source: null, count: 3, sum: 297 },
    ])
    await merge('2021-07-01')
    expect(await explain('2021-07-01 2021-07-01')).toEqual([day])
  })

  it('sums beyond what a double holds exactly, and batches that the ledger has forgotten', async () => {
    await api.pool.query(
      `insert into price_packs (batch_no, orig, dest, month, days, n, s, prices)
       select 999999, o.id, d.id, '2021-08-01', '{0}', '{2000000000}', '{4294967294000000001}', '{}'
       from ports o, ports d where o.code = 'CNSHA' and d.code = 'NLRTM'`,
    )
    expect(await explain('2021-08-01 2021-08-01')).toEqual([
      {
        count: 2_000_000_000,
        day: '2021-08-01',
        price: 2147483647.0000000005,
        batches: [{ id: null, source: null, count: 2_000_000_000, sum: 4294967294000000001 }],
        batchCount: 1,
      },
    ])
  })

  it('knows ports and regions from the next request on, as every read does', async () => {
    expect((await explain('2021-01-31 2021-01-31', { orig_code: 'CNNEW' }))[0]!.batches).toEqual([])
    await seedCatalog(api.pool, [], ['CNNEW:asia'])
    await seedPrices(api.pool, 'new', [price('2021-01-31', 9, 'CNNEW NLRTM')])
    expect((await explain('2021-01-31 2021-01-31', { orig_code: 'CNNEW' }))[0]!.batches).toMatchObject([{ id: 'new' }])
    expect((await explain('2021-01-31 2021-01-31', { orig_code: 'asia' }))[0]!.batchCount).toBe(2)
  })

  it('is refused for other values and for more than 366 days', async () => {
    for (const [parameters, detail] of [
      [{ explain: 'yes' }, 'Invalid explain argument'],
      [{ explain: 'true', date_from: '2020-01-30' }, 'Range too long'],
    ] as const) {
      const asked = { date_from: '2021-01-30', date_to: '2021-01-30', orig_code: 'CNSHA', dest_code: 'NLRTM' }
      const answer = await api.get(`/rates?${new URLSearchParams({ ...asked, ...parameters })}`)
      expect(answer).toMatchObject({ status: 400, body: { detail } })
    }
    expect(await explain('2020-01-31 2021-01-30')).toHaveLength(366)
    expect((await ask('2021-01-30 2021-01-30', { explain: 'false' })).rates[0]).not.toHaveProperty('batches')
  })
})
