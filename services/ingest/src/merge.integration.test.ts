import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { CROWD } from '@rates/core/merge-plan'
import { revertIn } from '@rates/service/ledger/revert'
import { createLogger } from '@rates/service/log'
import { createPool, withTransaction } from '@rates/service/postgres'
import { importTestPorts, numbers } from '@rates/testing/batches'
import {
  insertBatch,
  insertPackRows,
  packRow,
  pricesOf,
  readPackRows,
  type PackedPrice,
  type PackRow,
} from '@rates/testing/packs'
import { createTestDatabase, type TestDatabase } from '@rates/testing/postgres'
import type pg from 'pg'
import { Registry } from 'prom-client'
import { maintenanceMetrics } from './maintenance-metrics.ts'
import { LARGE_ROWS, mergeStep } from './merge.ts'
import { MergeSweep } from './merge-sweep.ts'

let database: TestDatabase
let pool: pg.Pool
beforeAll(async () => {
  database = await createTestDatabase()
  await importTestPorts(database.url)
  pool = createPool(database.url, { name: 'test', max: 8, log: createLogger('test', 'silent') })
})
afterAll(async () => {
  await pool.end()
  await database.drop()
})
beforeEach(async () => void (await pool.query('truncate price_packs, batches, hidden_batches cascade')))

const next = numbers(11)
const rule = { afterSeconds: 60, revertWindowDays: 7 }
const MONTH = '2020-01-01'

type BatchOptions = Parameters<typeof insertBatch>[1]
const batch = (options?: BatchOptions) => insertBatch(pool, options)

const prices = (batchNo: number, count = 1 + (next() % 9)): PackedPrice[] =>
  Array.from({ length: count }, () => ({ batchNo, day: next() % 31, price: 1 + (next() % 5_000) }))

/** A pack for each of some pairs: of port 1 to port 2, to port 3 and so on. */
const insert = (batchNo: number, pairs = 1, count?: number) =>
  insertPackRows(
    pool,
    Array.from({ length: pairs }, (_, i) => packRow(prices(batchNo, count), 1, 2 + i)),
  )

async function crowd(count: number, options: BatchOptions = {}, pairs = 1): Promise<number[]> {
  const made: number[] = []
  for (let i = 0; i < count; i++) {
    made.push(await batch(options))
    await insert(made.at(-1)!, pairs)
  }
  return made
}

const packs = () => readPackRows(pool)

/** Each price with its place, day and batch: what merging must not change. */
async function content(): Promise<string[]> {
  return (await packs())
    .flatMap((pack) => pricesOf(pack).map((p) => `${pack.dest} ${pack.month} ${p.day} ${p.batchNo} ${p.price}`))
    .sort()
}

/** What readers see: of the view, and of the daily sums. */
async function seen(): Promise<string> {
  const { rows } = await pool.query<{ seen: string }>(
    `select (select md5(string_agg(v::text, ',' order by orig_code, dest_code, day, price)) from prices v) || ' ' ||
      (select md5(string_agg(t::text, ',' order by t)) from (
        select orig, dest, month, u.d, sum(u.n), sum(u.s) from price_packs, unnest(days, n, s) u(d, n, s)
        where batch_no <> all (array(select batch_no from hidden_batches)) group by 1, 2, 3, 4) t) as seen`,
  )
  return rows[0]!.seen
}

const registry = new Registry()
const metrics = maintenanceMetrics(registry)
const silent = createLogger('test', 'silent')

/** A whole round. */
async function sweep(settings = {}): Promise<void> {
  const sweeping = new MergeSweep(pool, { ...rule, priceRetentionDays: 0, ...settings }, metrics, silent)
  while ((await sweeping.runOnce()) > 0);
}

const numbersOf = (pack: PackRow): number[] => [...new Set(pack.batches ?? [pack.batch_no])].sort((a, b) => a - b)

describe('merging', () => {
  it('leaves few packs and changes nothing that anybody reads, whenever', async () => {
    const all = new Set<string>()
    let ended = false
    await crowd(60, {}, 12)
    const before = { content: await content(), seen: await seen() }
    expect(await packs()).toHaveLength(720)
    const reader = async (): Promise<void> => {
      while (!ended) all.add(await seen())
    }
    const readers = Promise.all([reader(), reader()])
    await sweep()
    ended = true
    await readers
    expect([...all]).toEqual([before.seen])
    expect(await content()).toEqual(before.content)
    const merged = await packs()
    expect(merged).toHaveLength(12)
    for (const pack of merged) {
      expect(pack).toEqual(packRow(pricesOf(pack), pack.orig, pack.dest, pack.month))
      expect(numbersOf(pack)).toHaveLength(60)
    }
    // What comes later is merged with it.
    await crowd(CROWD - 1, {}, 12)
    const later = await content()
    await sweep()
    expect(await content()).toEqual(later)
    expect((await packs()).length).toBeLessThan(12 * 3)
    expect((await registry.getSingleMetricAsString('rates_merge_packs_total')).split('\n')).toContain(
      'rates_merge_packs_total{kind="merged"} ' + String(720 + 12 * (CROWD - 1)),
    )
  })

  it('keeps the content of random batches, whatever was merged before', async () => {
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 3 + (next() % 12); i++) {
        const no = await batch({ rows: next() % 4 === 0 ? LARGE_ROWS + 1 : 100 })
        for (let chunk = 0; chunk < 1 + (next() % 3); chunk++) await insert(no, 1 + (next() % 4), 1 + (next() % 40))
      }
      const before = { content: await content(), seen: await seen() }
      await Promise.all([sweep(), sweep()])
      expect(await content()).toEqual(before.content)
      expect(await seen()).toEqual(before.seen)
    }
    expect((await packs()).filter(({ batches }) => batches).length).toBeGreaterThan(0)
  })

  it('takes only what readers see, and is old enough', async () => {
    const kept = [
      ...(await crowd(CROWD, { ago: '30 seconds' })),
      ...(await crowd(CROWD, { state: 'open' })),
      ...(await crowd(CROWD, { state: 'failed' })),
      ...(await crowd(CROWD, { dryRun: true })),
    ]
    const before = await packs()
    await sweep()
    expect(await packs()).toEqual(before)
    const merged = await crowd(CROWD)
    await sweep()
    const after = await packs()
    expect(after.filter(({ batches }) => batches).map(numbersOf)).toEqual([merged])
    expect(after.filter(({ batches }) => !batches).map(({ batch_no }) => batch_no)).toEqual(kept)
  })

  it('merges a large batch with itself alone until it cannot be reverted any more', async () => {
    const large = await batch({ rows: LARGE_ROWS + 1 })
    for (let i = 0; i < CROWD; i++) await insert(large)
    const small = await crowd(CROWD)
    await sweep()
    expect((await packs()).map((pack) => [numbersOf(pack), pack.batches !== null])).toEqual([
      [[large], false],
      [small, true],
    ])
    await pool.query(`update batches set finished_at = now() - interval '8 days' where no = $1`, [large])
    await crowd(CROWD)
    await sweep()
    expect((await packs()).find((pack) => numbersOf(pack).includes(large))!.batches).not.toBeNull()
  })

  it('makes packs that are not too large, and leaves those alone', async () => {
    const no = await batch()
    await pool.query(
      `insert into price_packs (batch_no, orig, dest, month, days, n, s, prices)
       select $1, 1, 2, '2020-01-01', '{3}', '{40000}', '{4000000}', array_fill(100, '{40000}') from generate_series(1, $2)`,
      [no, CROWD],
    )
    const sums = async () => (await pool.query('select sum(n[1])::int as n, sum(s[1])::int as s from price_packs')).rows
    const before = await sums()
    await sweep()
    expect(await sums()).toEqual(before)
    const sizes = async () => (await packs()).map((pack) => pack.prices.length).sort((a, b) => a - b)
    expect(await sizes()).toEqual([80_000, 120_000, 120_000])
    await crowd(CROWD)
    await sweep()
    expect((await sizes()).slice(1)).toEqual([80_000, 120_000, 120_000])
  })

  it.each([1, 7, 8, 9, 30])('finds every crowded pair and month, also in looks of %i packs', async (page) => {
    await crowd(CROWD - 1, {}, 3)
    await crowd(1, {}, 1)
    const no = await batch()
    await insertPackRows(pool, [2, 3].map((orig) => packRow(prices(no), orig, 2))) // prettier-ignore
    const before = await content()
    await sweep({ page })
    expect(await content()).toEqual(before)
    // Seven packs are no crowd; of a pair and month that is larger than a look, the look tells.
    expect((await packs()).map(({ orig, dest }) => `${orig} ${dest}`)).toEqual([
      ...new Array<string>(page < CROWD ? CROWD : 1).fill('1 2'),
      ...new Array<string>(CROWD - 1).fill('1 3'),
      ...new Array<string>(CROWD - 1).fill('1 4'),
      '2 2',
      '3 2',
    ])
  })

  it('lets readers of the daily sums pass by the prices', async () => {
    const no = await batch()
    for (let i = 0; i < CROWD; i++) await insert(no, 1, 3_000)
    await sweep()
    expect(await packs()).toHaveLength(1)
    const { rows } = await pool.query<{ 'QUERY PLAN': [{ Plan: { 'Shared Hit Blocks': number } }] }>(
      `explain (analyze, buffers, format json) select days, n, s from price_packs where orig = 1 and dest = 2`,
    )
    expect(rows[0]!['QUERY PLAN'][0].Plan['Shared Hit Blocks']).toBeLessThan(10)
    const { rows: size } = await pool.query<{ n: number }>('select pg_column_size(prices) as n from price_packs')
    expect(size[0]!.n).toBeGreaterThan(50_000)
  })

  it('leaves a pair and month with a pack that cannot be read as it is, and goes on', async () => {
    await crowd(CROWD, {}, 3)
    await pool.query('update price_packs set n = array_append(n, 1) where dest = 3 and batch_no % 2 = 0')
    const broken = (await packs()).filter(({ dest }) => dest === 3)
    const sweeping = new MergeSweep(pool, { ...rule, priceRetentionDays: 0 }, metrics, silent)
    while ((await sweeping.runOnce()) > 0);
    const after = await packs()
    expect(after.filter(({ dest }) => dest === 3)).toEqual(broken)
    expect(after.filter(({ dest }) => dest !== 3)).toHaveLength(2)
  })
})

describe('a batch that is being hidden', () => {
  it('is not merged, and nobody waits', async () => {
    const [first, ...rest] = await crowd(CROWD + 1)
    const holder = await pool.connect()
    await holder.query('begin')
    await holder.query('select from batches where no = $1 for update', [first])
    await sweep()
    expect((await packs()).map(numbersOf)).toEqual([[first], rest])
    await holder.query('rollback')
    holder.release()
  })

  it('is taken out of what it was merged into while it waited', async () => {
    const made = await crowd(CROWD, {}, 2)
    const before = await content()
    const merging = await pool.connect()
    await merging.query('begin')
    await merging.query('select from batches where no = $1 for share', [made[0]])
    const id = 'b0'
    const reverting = withTransaction(pool, (client) => revertIn(client, id, false, 7))
    await sweep()
    expect((await packs()).map(numbersOf)).toEqual([made, made])
    await merging.query('commit')
    merging.release()
    expect(await reverting).toMatchObject({ kind: 'reverted' })
    expect(await content()).toEqual(before)
    expect((await pool.query('select batch_no from hidden_batches')).rows).toEqual([{ batch_no: BigInt(made[0]!) }])
    for (const pack of await packs()) expect(pack.batches === null || !numbersOf(pack).includes(made[0]!)).toBe(true)
    const { rows } = await pool.query<{ n: number }>('select count(*)::int as n from prices')
    expect(rows[0]!.n).toBe(before.filter((line) => line.split(' ')[3] !== String(made[0])).length)
    // A hidden batch is not merged again.
    await crowd(CROWD, {}, 2)
    await sweep()
    for (const pack of await packs()) expect(pack.batches === null || !numbersOf(pack).includes(made[0]!)).toBe(true)
  })
})

describe('two at once', () => {
  it('merge everything once', async () => {
    await crowd(40, {}, 6)
    const before = await content()
    await Promise.all([sweep(), sweep(), sweep()])
    expect(await content()).toEqual(before)
  })

  it('leave alone what somebody else is rewriting, and wait for nobody', async () => {
    const early: number[] = []
    for (let i = 0; i < CROWD; i++) {
      early.push(await batch())
      await insert(early[i]!, 1, 1)
    }
    await sweep()
    const holder = await pool.connect()
    await holder.query('begin')
    await holder.query('select from price_packs where batches is not null for update')
    const late: number[] = []
    for (let i = 0; i < CROWD; i++) {
      late.push(await batch())
      await insert(late[i]!, 1, 3)
    }
    await sweep()
    expect((await packs()).map(numbersOf)).toEqual([early, late])
    await holder.query('rollback')
    holder.release()
  })

  it('a step takes on no more than some thousand packs', async () => {
    const no = await batch()
    await insertPackRows(
      pool,
      Array.from({ length: 4_000 }, () => packRow(prices(no, 1))),
    )
    const months = [{ orig: 1, dest: 2, month: MONTH }]
    expect(await mergeStep(pool, months, rule)).toEqual({ removed: 3_000, written: 1, prices: 3_000, done: 0 })
    expect(await mergeStep(pool, months, rule)).toEqual({ removed: 1_000, written: 1, prices: 1_000, done: 1 })
  })
})
