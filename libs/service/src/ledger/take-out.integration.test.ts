import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { mergePacks } from '@rates/core/merge-packs'
import { type StoredPack } from '@rates/core/stored-pack'
import { importTestPorts, numbers } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { createTestDatabase, type TestDatabase } from '@rates/testing/postgres'
import type pg from 'pg'
import { createLogger } from '../log.ts'
import { createPool, withTransaction } from '../postgres.ts'
import { insertPacks } from './copy-packs.ts'
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

function randomPack(batchNo: number, dest: number): StoredPack {
  const sums = new Float64Array(31)
  const parts = [...new Set(Array.from({ length: 3 }, () => next() % 31))]
    .sort((a, b) => a - b)
    .map((day) => {
      const view = new DataView(new ArrayBuffer(8 * (1 + (next() % 4))))
      for (let at = 0; at < view.byteLength; at += 8) {
        const price = 1 + (next() % 5000)
        view.setInt32(at, 4)
        view.setInt32(at + 4, price)
        sums[day]! += price
      }
      return { day, batchNo, n: view.byteLength / 8, prices: new Uint8Array(view.buffer) }
    })
  return { orig: 1, dest, month: 7305, sums, parts, size: parts.reduce((all, { n }) => all + n, 0) }
}

const insert = (packs: StoredPack[]) => withTransaction(pool, (client) => insertPacks(client, packs))

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
    const packs = [2, 3, 4].flatMap((dest) => [1, 2, 3, 4].map((batchNo) => randomPack(batchNo, dest)))
    await insert(packs)
    const before = { all: await seen(), own: await Promise.all([1, 2, 3, 4].map(packsOf)) }
    await pool.query('truncate price_packs')
    await insert([2, 3, 4].map((to) => mergePacks(packs.filter(({ dest }) => dest === to))))
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
    expect(await Promise.all([1, 2, 3, 4].map(packsOf))).toEqual(before.own)
    expect(await seen()).toEqual(before.all)
  })

  it('finds what another one has rewritten while it waited', async () => {
    const packs = [1, 2, 3].map((batchNo) => randomPack(batchNo, 2))
    await insert([mergePacks(packs)])
    const all = await seen()
    const first = await pool.connect()
    await first.query('begin')
    expect(await takeOut(first, 1n)).toBe(1)
    const second = take(2n)
    await eventually(async () => (await pool.query(`select from pg_locks where not granted`)).rowCount! > 0)
    await first.query('commit')
    first.release()
    expect(await second).toBe(1)
    expect(await merged()).toBe(0)
    expect(await seen()).toEqual(all)
  })

  it('changes nothing in a transaction that is rolled back, nor of a pack that is broken', async () => {
    await insert([mergePacks([1, 2, 3].map((batchNo) => randomPack(batchNo, 2)))])
    await pool.query('update price_packs set batch_n[1] = batch_n[1] + 1')
    const all = await seen()
    await expect(take(2n)).rejects.toThrow(/port 1 to port 2 in 2020-01 is broken: batch_n does not add up to n/)
    expect(await seen()).toEqual(all)
    expect(await merged()).toBe(1)
  })

  it('finds its packs by their index', async () => {
    await insert([mergePacks([1, 2, 3].map((batchNo) => randomPack(batchNo, 2)))])
    const plan = await withTransaction(pool, async (client) => {
      await client.query('set local enable_seqscan = off')
      return (await client.query('explain select from price_packs where batches @> array[2::bigint]')).rows as unknown
    })
    expect(JSON.stringify(plan)).toContain('price_packs_merged')
  })
})
