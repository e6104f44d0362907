import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import pg from 'pg'
import { formatDay } from '@rates/core/rates-query'
import { ratesSchema } from './schemas.ts'
import { seedCatalog, seedPrices, startTestApp, type Price, type TestApp } from './test-app.ts'

let api: TestApp
beforeAll(async () => {
  api = await startTestApp()
  await seedCatalog(
    api.pool,
    ['china', 'china_main:china', 'china_south:china_main', 'europe', 'empty:europe', 'NOOSL:europe'],
    ['CNGGZ:china_main', 'CNSZX:china_south', 'CNTXG:china', 'EETLL:europe', 'NOOSL:europe', 'NOTAE:NOOSL'],
  )
  const prices: Price[] = [
    ['CNGGZ', 'EETLL', '2021-01-31', 1154],
    ['CNGGZ', 'EETLL', '2021-01-31', 1154],
    ['CNGGZ', 'EETLL', '2021-01-31', 1155],
    ['CNGGZ', 'EETLL', '2021-01-29', 10],
    ['CNGGZ', 'EETLL', '2021-01-29', 20],
    ['CNGGZ', 'EETLL', '2021-02-01', 1],
    ['CNGGZ', 'EETLL', '2021-02-01', 2],
    ['CNGGZ', 'EETLL', '2021-02-01', 3],
    ['CNSZX', 'EETLL', '2021-01-29', 40],
    ['CNTXG', 'EETLL', '2021-01-29', 1000],
    ['CNGGZ', 'NOOSL', '2021-01-29', 7],
    ['CNGGZ', 'NOTAE', '2021-01-29', 9],
  ]
  await seedPrices(api.pool, 'first', prices)
})
afterAll(() => api.close())

const parameters = { date_from: '2021-01-29', date_to: '2021-01-31', orig_code: 'CNGGZ', dest_code: 'EETLL' }
type Parameters = Partial<Record<keyof typeof parameters, string | undefined>>

function ask(change: Parameters = {}): ReturnType<TestApp['get']> {
  const asked = Object.entries({ ...parameters, ...change }).filter(
    (each): each is [string, string] => each[1] !== undefined,
  )
  return api.get(`/rates?${new URLSearchParams(asked)}`)
}
async function rates(change: Parameters = {}): Promise<{ count: number | null; day: string; price: number | null }[]> {
  const { status, body } = await ask(change)
  expect(status).toBe(200)
  return ratesSchema.parse(body).rates
}
const nothing = (day: string): object => ({ count: null, day, price: null })

describe('GET /rates', () => {
  it('answers with every day of the range, the newest first', async () => {
    const answer = await ask()
    expect(answer.type).toContain('application/json')
    expect(answer.body).toEqual({
      rates: [
        { count: 3, day: '2021-01-31', price: 1154.3333333333333 },
        { count: null, day: '2021-01-30', price: null },
        { count: 2, day: '2021-01-29', price: null },
      ],
    })
  })

  it('reads across months, and one day alone', async () => {
    expect((await rates({ date_to: '2021-02-01' }))[0]).toEqual({ count: 3, day: '2021-02-01', price: 2 })
    expect(await rates({ date_from: '2021-02-01', date_to: '2021-02-01' })).toHaveLength(1)
  })

  it('takes dates without leading zeros and pads them', async () => {
    expect(await rates({ date_from: '2021-2-1', date_to: '2021-2-1' })).toEqual([
      { count: 3, day: '2021-02-01', price: 2 },
    ])
  })

  it('has no entries for a range that ends before it begins', async () => {
    expect(await rates({ date_from: '2021-01-31', date_to: '2021-01-29' })).toEqual([])
  })

  it.each(['XXXXX', 'cnggz', ' CNGGZ', 'CNGGZ ', 'Port CNGGZ', "'", '%', 'null', '{}', '\u0000'])(
    'has null entries for the unknown place %j',
    async (place) => {
      const days = ['2021-01-31', '2021-01-30', '2021-01-29'].map(nothing)
      expect(await rates({ orig_code: place })).toEqual(days)
      expect(await rates({ dest_code: place })).toEqual(days)
    },
  )

  it('adds up all ports of a region and its sub-regions', async () => {
    expect((await rates({ orig_code: 'china_main' }))[2]).toEqual({ count: 3, day: '2021-01-29', price: 70 / 3 })
    expect((await rates({ orig_code: 'china' }))[2]).toEqual({ count: 4, day: '2021-01-29', price: 267.5 })
    expect((await rates({ orig_code: 'china', dest_code: 'europe' }))[2]).toMatchObject({ count: 6 })
    expect((await rates({ orig_code: 'china_south' }))[2]).toMatchObject({ count: 1, price: null })
  })

  it('takes a code for a port first, then for a region', async () => {
    expect((await rates({ dest_code: 'NOOSL' }))[2]).toMatchObject({ count: 1 }) // NOTAE lies in the region NOOSL
  })

  it('has null entries for a region without ports', async () => {
    expect((await rates({ orig_code: 'empty' })).map(({ count }) => count)).toEqual([null, null, null])
  })

  it.each(['2021-02-30', '2021-01-29T00:00:00', '29-01-2021', '2021-13-01', '0000-01-01', 'x', '', undefined])(
    'refuses %j as a date',
    async (date) => {
      const problem = { type: 'about:blank', title: 'Bad Request', status: 400, detail: 'Invalid date arguments' }
      for (const change of [{ date_from: date }, { date_to: date }]) {
        const answer = await ask(change)
        expect(answer).toMatchObject({ status: 400, body: problem })
        expect(answer.type).toContain('application/problem+json')
      }
    },
  )

  it.each(['', undefined])('refuses a place that is %j', async (place) => {
    const problem = { status: 400, body: { detail: 'Invalid location arguments' } }
    expect(await ask({ orig_code: place })).toMatchObject(problem)
    expect(await ask({ dest_code: place })).toMatchObject(problem)
  })

  it('checks dates before places, and places before the length of the range', async () => {
    expect(await ask({ date_to: 'x', dest_code: '' })).toMatchObject({ body: { detail: 'Invalid date arguments' } })
    expect(await ask({ date_to: '2999-01-01', dest_code: '' })).toMatchObject({
      body: { detail: 'Invalid location arguments' },
    })
  })

  it('answers for 3 660 days and not for more', async () => {
    expect(await rates({ date_from: '2011-01-25', date_to: '2021-01-31' })).toHaveLength(3660)
    expect(await ask({ date_from: '2011-01-24' })).toMatchObject({ status: 400, body: { detail: 'Range too long' } })
    expect(await rates({ date_from: '0001-01-01', date_to: '0001-01-01' })).toEqual([nothing('0001-01-01')])
    expect(await rates({ date_from: '9999-12-31', date_to: '9999-12-31' })).toEqual([nothing('9999-12-31')])
  })

  it('counts the first of a repeated parameter, and ignores unknown ones', async () => {
    const twice = `${new URLSearchParams(parameters)}&date_from=x&orig_code=&other=1`
    expect(await api.get(`/rates?${twice}`)).toMatchObject({ status: 200 })
    expect(await api.get(`/rates?orig_code=&${new URLSearchParams(parameters)}`)).toMatchObject({
      body: { detail: 'Invalid location arguments' },
    })
  })

  it('shows nothing of a batch that is hidden, and all of it once it is not', async () => {
    const day = { date_from: '2022-05-05', date_to: '2022-05-05' }
    const prices = Array.from({ length: 3 }, (): Price => ['CNGGZ', 'EETLL', '2022-05-05', 5])
    const no = await seedPrices(api.pool, 'hidden', prices, true)
    expect(await rates(day)).toEqual([nothing('2022-05-05')])
    await api.pool.query('delete from hidden_batches where batch_no = $1', [no])
    expect(await rates(day)).toEqual([{ count: 3, day: '2022-05-05', price: 5 }])
    await api.pool.query('insert into hidden_batches values ($1)', [no])
    expect(await rates(day)).toEqual([nothing('2022-05-05')])
  })

  it('knows a port, and the region it has moved to, from the next request on', async () => {
    const day = { date_from: '2022-06-06', date_to: '2022-06-06', orig_code: 'CNNEW' }
    expect(await rates(day)).toEqual([nothing('2022-06-06')])
    await seedCatalog(api.pool, [], ['CNNEW:china_main'])
    await seedPrices(api.pool, 'new-port', [['CNNEW', 'EETLL', '2022-06-06', 5]])
    expect(await rates(day)).toMatchObject([{ count: 1 }])
    expect(await rates({ ...day, orig_code: 'china_main' })).toMatchObject([{ count: 1 }])
    await api.pool.query(`update ports set parent_slug = 'europe' where code = 'CNNEW'`)
    expect(await rates({ ...day, orig_code: 'china_main' })).toMatchObject([{ count: null }])
    expect(await rates({ ...day, orig_code: 'europe' })).toMatchObject([{ count: 1 }])
    await api.pool.query(`update regions set parent_slug = 'china_main' where slug = 'europe'`)
    expect(await rates({ ...day, orig_code: 'china_main' })).toMatchObject([{ count: 1 }])
    await api.pool.query(`update regions set parent_slug = null where slug = 'europe'`)
  })

  it('averages 20 000 sums and counts as PostgreSQL does, to the last digit', async () => {
    await seedCatalog(api.pool, [], ['AAAAA:empty', 'BBBBB:empty'])
    await api.pool.query(`
      insert into price_packs (batch_no, orig, dest, month, days, n, s, prices)
      select 1, a.id, b.id, month, array_agg(day - month order by day), array_agg(n order by day),
        array_agg(least(ceil(n * (1 + 2 ^ (random() * 31))), n * 2147483647.0)::bigint order by day), '{}'
      from (
        select date '1970-01-01' + d as day, date_trunc('month', date '1970-01-01' + d)::date as month,
          ceil(case when d % 7 = 0 then 2 ^ (random() * 31) - 1 when d % 2 = 0 then 3 + random() * 30 else 2 ^ (random() * 14) end
          )::int as n from generate_series(0, 19999) d
      ) days, ports a, ports b where a.code = 'AAAAA' and b.code = 'BBBBB' and n > 0
      group by a.id, b.id, month`)
    const stored = await api.pool.query<{ day: string; n: number; price: string }>(`
      select (month + u.d::int)::text as day, u.n, (u.s::numeric / u.n::numeric)::text as price
      from price_packs p, unnest(p.days, p.n, p.s) as u(d, n, s) where orig = (select id from ports where code = 'AAAAA')`)
    const prices = new Map(stored.rows.map(({ day, n, price }) => [day, n < 3 ? null : Number(price)]))
    expect(prices.size).toBeGreaterThan(19_900)
    let compared = 0
    for (let from = 0; from < 20_000; from += 3660) {
      const range = { date_from: formatDay(from), date_to: formatDay(Math.min(from + 3659, 19_999)) }
      for (const { day, price } of await rates({ ...range, orig_code: 'AAAAA', dest_code: 'BBBBB' })) {
        if (price !== (prices.get(day) ?? null)) throw new Error(`${day}: ${price}, PostgreSQL says ${prices.get(day)}`)
        compared++
      }
    }
    expect(compared).toBe(20_000)
  })

  it('from port to port is not planned anew each time', async () => {
    await api.pool.query(`
      insert into price_packs (batch_no, orig, dest, month, days, n, s, prices)
      select 1, 1000 + i / 200, 1000 + i % 200, '2021-01-01', '{0}', '{1}', '{1}', '{1}' from generate_series(1, 20000) i`)
    await api.pool.query('analyze price_packs')
    for (let i = 0; i < 50; i++) await rates()
    // The statement is prepared on each of the pool's few connections; this asks one of them.
    const { rows } = await api.pool.query<{ generic: number; custom: number }>(
      `select generic_plans::int as generic, custom_plans::int as custom from pg_prepared_statements where name = 'read-pair'`,
    )
    expect(rows[0]!.custom).toBeLessThanOrEqual(5)
    expect(rows[0]!.generic).toBeGreaterThan(5)
  })

  it('gives what avg(price) over the rows gives, also for regions', async () => {
    const codes = ['CNGGZ', 'CNSZX', 'CNTXG']
    const prices = Array.from({ length: 6000 }, (_, i): Price => {
      const size = 10 ** (1 + (i % 9))
      return [
        codes[i % 3]!,
        'NOTAE',
        formatDay(19_000 + (i % 997)),
        Math.ceil(Math.random() * Math.min(size, 2 ** 31 - 1)),
      ]
    })
    await seedPrices(api.pool, 'random', prices.slice(0, 3000))
    await seedPrices(api.pool, 'random-too', prices.slice(3000))
    const stored = await api.pool.query<{ day: string; count: number; price: number | null }>(`
      select day::text, count(*)::int as count, case when count(*) >= 3 then avg(price)::float8 end as price from prices
      where orig_code in ('CNGGZ', 'CNSZX', 'CNTXG') and dest_code = 'NOTAE' and day >= '2022-01-08' group by day order by day desc`)
    expect(stored.rows).toHaveLength(997)
    const asked = { date_from: formatDay(19_000), date_to: formatDay(19_996), orig_code: 'china', dest_code: 'NOTAE' }
    expect(await rates(asked)).toEqual(stored.rows)
  })
})

describe('GET /rates as CSV', () => {
  const csv = (change: Record<string, string>, accept?: string): ReturnType<TestApp['get']> =>
    api.get(`/rates?${new URLSearchParams({ ...parameters, ...change })}`, accept === undefined ? {} : { accept })

  it('is a line for each day, with nothing for null', async () => {
    const { status, type, body } = await csv({ format: 'csv' })
    expect({ status, type, body }).toEqual({
      status: 200,
      type: 'text/csv; charset=utf-8',
      body: 'day,count,price\r\n2021-01-31,3,1154.3333333333333\r\n2021-01-30,,\r\n2021-01-29,2,\r\n',
    })
    expect((await csv({ format: 'csv', date_to: '2021-01-28' })).body).toBe('day,count,price\r\n')
  })

  it.each([
    [undefined, 'json'],
    ['*/*', 'json'],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8', 'json'],
    ['application/json, text/csv', 'json'],
    ['text/csv', 'csv'],
    ['Text/CSV;q=0.9, */*;q=0.1', 'csv'],
    ['text/csvx', 'json'],
  ])('for Accept: %s it is %s', async (accept, expected) => {
    const { status, type } = await csv({}, accept)
    expect([status, type]).toEqual([200, expect.stringContaining(expected)])
  })

  it('goes by the parameter rather than by the header', async () => {
    expect((await csv({ format: 'json' }, 'text/csv')).type).toContain('application/json')
    expect((await csv({ format: 'csv' }, 'application/json')).type).toContain('text/csv')
  })

  it('is refused as JSON is, and other formats are, last of all', async () => {
    const refused = async (change: Record<string, string>, accept?: string): Promise<unknown> => {
      const { status, type, body } = await csv(change, accept)
      expect([status, type]).toEqual([400, expect.stringContaining('application/problem+json')])
      return (body as { detail: string }).detail
    }
    expect(await refused({ date_to: 'x' }, 'text/csv')).toBe('Invalid date arguments')
    expect(await refused({ format: 'xml' })).toBe('Invalid format argument')
    expect(await refused({ format: 'xml', date_from: '2001-01-01' })).toBe('Range too long')
    expect(await refused({ format: 'CSV', explain: 'x' })).toBe('Invalid explain argument')
  })
})

describe('a read that goes wrong', () => {
  it('is a fault of ours where a pack is damaged, and the next one is answered', async () => {
    await seedCatalog(api.pool, [], ['DDDDD:empty'])
    await api.pool.query(
      `insert into price_packs (batch_no, orig, dest, month, days, n, s, prices)
       select 1, id, id, '2021-01-01', '{0,1}', '{1}', '{1}', '{1}' from ports where code = 'DDDDD'`,
    )
    for (let i = 0; i < 10; i++) {
      const answer = await ask({ orig_code: 'DDDDD', dest_code: 'DDDDD' })
      expect(answer).toMatchObject({ status: 500, body: { title: 'Internal Server Error' } })
      expect(JSON.stringify(answer.body)).not.toContain('arrays')
    }
    expect((await ask()).status).toBe(200)
  })

  it('is asked for again where its connection was cut, and reads go on', async () => {
    let stop = false
    const statuses = new Set<number>()
    const readers = Array.from({ length: 8 }, async () => {
      while (!stop) statuses.add((await ask()).status)
    })
    const killer = new pg.Client({ connectionString: api.databaseUrl })
    await killer.connect()
    for (let i = 0; i < 20; i++) {
      await killer.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'rates-api'
        and datname = current_database()`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    stop = true
    await Promise.all(readers)
    await killer.end()
    expect([...statuses].filter((status) => status !== 200 && status !== 503)).toEqual([])
    expect((await ask()).status).toBe(200)
  })
})

describe('the catalogue', () => {
  it('is listed', async () => {
    const { body: ports } = await api.get('/ports')
    expect((ports as { ports: object[] }).ports).toContainEqual({
      code: 'CNGGZ',
      name: 'Port CNGGZ',
      region: 'china_main',
    })
    const { body: regions } = await api.get('/regions')
    expect((regions as { regions: object[] }).regions.slice(0, 2)).toEqual([
      { slug: 'NOOSL', name: 'Region NOOSL', parent: 'europe' },
      { slug: 'china', name: 'Region china', parent: null },
    ])
  })

  it('is listed as it is now', async () => {
    await api.pool.query(`update ports set name = 'Guangzhou' where code = 'CNGGZ'`)
    const { body } = await api.get('/ports')
    expect((body as { ports: object[] }).ports).toContainEqual({
      code: 'CNGGZ',
      name: 'Guangzhou',
      region: 'china_main',
    })
  })
})

describe('other routes', () => {
  it('greet', async () => expect(await api.get('/')).toMatchObject({ status: 200, body: { message: 'Hello world!' } }))

  it.each([
    '/nope',
    '/rates/',
    '/rates/x',
    '/Rates',
    '/ports?x=%ff',
    '/%ff',
    `/${'x'.repeat(5000)}`,
    '/batches/..%2f..',
  ])('answer %s with a problem or a page, never with more', async (path) => {
    const { status, body, type } = await api.get(path)
    expect([200, 400, 404, 414]).toContain(status)
    if (status !== 200)
      expect({ body, type }).toMatchObject({ body: { status }, type: expect.stringContaining('problem+json') })
    expect(JSON.stringify(body)).not.toContain(' at ')
  })
})
