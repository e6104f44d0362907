import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { importTestPorts, numbers } from '@rates/testing/batches'
import { waitingFor } from '@rates/testing/lock-waits'
import { insertPackRows, packRow, type PackedPrice } from '@rates/testing/packs'
import { createTestDatabase, type TestDatabase } from '@rates/testing/postgres'
import type pg from 'pg'
import { createLogger } from '../log.ts'
import { createPool, withTransaction } from '../postgres.ts'
import { takeOut } from './take-out.ts'

let database: TestDatabase
let pool: pg.Pool
beforeAll(async () => {
  database = await createTestDatabase()
  await importTestPorts(database.url)
  pool = createPool(database.url, { name: 'test', max: 4, log: createLogger('test', 'silent') })
})
afterAll(async () => {
  await pool.end()
  await database.drop()
})
beforeEach(() => pool.query('truncate price_packs'))

const next = numbers(5)

const prices = (batchNo: number): PackedPrice[] =>
  Array.from({ length: 1 + (next() % 30) }, () => ({ batchNo, day: next() % 31, price: 1 + (next() % 5000) }))

/** What readers of the view see, and what readers of the daily sums see. */
async function seen(): Promise<unknown[]> {
  const view = await pool.query('select orig_code, dest_code, day, price from prices order by 1, 2, 3, 4')
  const sums = await pool.query(
    `select orig, dest, month, u.d, sum(u.n)::int as n, sum(u.s)::int as s from price_packs, unnest(days, n, s) as u(d, n, s)
     group by 1, 2, 3, 4 order by 1, 2, 3, 4`,
  )
  return [view.rows, sums.rows]
}

async function packsOf(batchNo: number): Promise<unknown[]> {
  const { rows } = await pool.query<object>(
    'select * from price_packs where batch_no = $1 and batches is null order by orig, dest',
    [batchNo],
  )
  return rows
}

const take = (batchNo: bigint) => withTransaction(pool, (client) => takeOut(client, batchNo))
const merged = async (): Promise<number> =>
  (await pool.query('select from price_packs where batches is not null')).rowCount!

describe('takeOut', () => {
  it('leaves the batch with the packs that it had, and the others without it', async () => {
    const batches = [1, 2, 3, 4]
    const content = [2, 3, 4].map((dest) => ({ dest, rows: batches.map(prices) }))
    await insertPackRows(
      pool,
      content.flatMap(({ dest, rows }) => rows.map((some) => packRow(some, 1, dest))),
    )
    const before = { all: await seen(), own: await Promise.all(batches.map(packsOf)) }
    await pool.query('truncate price_packs')
    await insertPackRows(
      pool,
      content.map(({ dest, rows }) => packRow(rows.flat(), 1, dest)),
    )
    expect(await seen()).toEqual(before.all)
    expect(await merged()).toBe(3)

    expect(await take(2n)).toBe(3)
    expect(await packsOf(2)).toEqual(before.own[1])
    expect(await merged()).toBe(3)
    expect(await seen()).toEqual(before.all)
    expect(await take(2n)).toBe(0)
    expect(await take(99n)).toBe(0)

    await take(4n)
    expect((await pool.query('select distinct batch_no from price_packs where batches is not null')).rows).toEqual([
      { batch_no: 3n },
    ])
    // What one batch alone is left of is a pack of its own again.
    await take(1n)
    expect(await merged()).toBe(0)
    expect(await Promise.all(batches.map(packsOf))).toEqual(before.own)
    expect(await seen()).toEqual(before.all)
  })

  it('finds what another one has rewritten while it waited', async () => {
    await insertPackRows(pool, [packRow([1, 2, 3].flatMap(prices))])
    const all = await seen()
    const first = await pool.connect()
    await first.query('begin')
    expect(await takeOut(first, 1n)).toBe(1)
    const second = take(2n)
    await waitingFor(pool, 'select ctid.* from price_packs where batches @>')
    await first.query('commit')
    first.release()
    expect(await second).toBe(1)
    expect(await merged()).toBe(0)
    expect(await seen()).toEqual(all)
  })

  it('changes nothing in a transaction that is rolled back, nor of a pack that is broken', async () => {
    await insertPackRows(pool, [packRow([1, 2, 3].flatMap(prices))])
    await pool.query('update price_packs set batch_n[1] = batch_n[1] + 1')
    const all = await seen()
    await expect(take(2n)).rejects.toThrow(/port 1 to port 2 in 2020-01 is broken: batch_n does not add up to n/)
    expect(await seen()).toEqual(all)
    expect(await merged()).toBe(1)
  })

  it('finds its packs by their index', async () => {
    await insertPackRows(pool, [packRow([1, 2, 3].flatMap(prices))])
    const plan = await withTransaction(pool, async (client) => {
      await client.query('set local enable_seqscan = off')
      return (await client.query('explain select from price_packs where batches @> array[2::bigint]')).rows as unknown
    })
    expect(JSON.stringify(plan)).toContain('price_packs_merged')
  })
})
