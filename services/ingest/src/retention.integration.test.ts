import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { createLogger } from '@rates/service/log'
import { createPool } from '@rates/service/postgres'
import { importTestPorts } from '@rates/testing/batches'
import { waitingFor } from '@rates/testing/lock-waits'
import { insertBatch, insertPackRows, packRow, readPackRows } from '@rates/testing/packs'
import { createTestDatabase, type TestDatabase } from '@rates/testing/postgres'
import type pg from 'pg'
import { Registry } from 'prom-client'
import { maintenanceMetrics } from './maintenance-metrics.ts'
import { MergeSweep } from './merge-sweep.ts'
import { LedgerRetention } from './retention-ledger.ts'
import { trimStep } from './retention-prices.ts'

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
beforeEach(async () => void (await pool.query('truncate price_packs, batches, hidden_batches, outbox cascade')))

const registry = new Registry()
const metrics = maintenanceMetrics(registry)
const silent = createLogger('test', 'silent')

async function trim(priceRetentionDays: number): Promise<void> {
  const settings = { afterSeconds: 60, revertWindowDays: 7, priceRetentionDays }
  const sweep = new MergeSweep(pool, settings, metrics, silent)
  while ((await sweep.runOnce()) > 0);
}

async function forget(days: number): Promise<void> {
  const ledger = new LedgerRetention(pool, days, metrics, silent)
  while ((await ledger.runOnce()) > 0);
}

/** Packs of the batch: in each month a price from port 1 to port 2, 3, and so on. */
const insert = (batchNo: number | number[], months: string[], pairs = 1) =>
  insertPackRows(
    pool,
    months.flatMap((month) =>
      Array.from({ length: pairs }, (_, i) =>
        packRow(
          [batchNo].flat().map((no) => ({ batchNo: no, day: 4, price: 100 })),
          1,
          2 + i,
          month,
        ),
      ),
    ),
  )

const months = async (): Promise<string[]> => [...new Set((await readPackRows(pool)).map(({ month }) => month))].sort()

async function trimmed(): Promise<number[]> {
  const { rows } = await pool.query<{ no: number }>(
    'select no::float8 from batches where trimmed_at is not null order by no',
  )
  return rows.map(({ no }) => no)
}

const ids = async (): Promise<string[]> =>
  (await pool.query<{ id: string }>('select id from batches order by no')).rows.map(({ id }) => id)

describe('retention of prices', () => {
  it('removes whole months by their last day, and marks the batches that lose prices', async () => {
    // The month before last, and how long ago its last day is.
    const { rows } = await pool.query<{ before: string; last: string; days: number }>(
      `select (m - interval '2 months')::date::text as before, (m - interval '1 month')::date::text as last,
         (now() at time zone 'UTC')::date - (m - interval '1 month')::date + 1 as days
       from date_trunc('month', now() at time zone 'UTC') m`,
    )
    const { before, last, days } = rows[0]!
    const [old, both, young] = [await insertBatch(pool), await insertBatch(pool), await insertBatch(pool)]
    await insert(old, ['2001-02-01', before])
    await insert([old, both], [before])
    await insert(both, [last])
    await insert(young, [last])
    await trim(0)
    await trim(days)
    expect(await months()).toEqual([before, last])
    expect(await trimmed()).toEqual([old])
    const at = (await pool.query('select trimmed_at from batches where no = $1', [old])).rows
    await trim(days - 1)
    expect(await months()).toEqual([last])
    expect(await trimmed()).toEqual([old, both])
    expect((await pool.query('select trimmed_at from batches where no = $1', [old])).rows).toEqual(at)
  })

  it('takes a pair’s month away as a whole, and nobody reads a part of it', async () => {
    const made: number[] = []
    for (let i = 0; i < 30; i++) made.push(await insertBatch(pool))
    for (const no of made) await insert(no, ['2001-02-01', '2001-03-01'], 10)
    await insert(made, ['2001-02-01'], 10)
    const counts = new Set<number>()
    let ended = false
    const reader = (async () => {
      while (!ended) {
        const { rows } = await pool.query<{ n: number }>(
          `select count(*)::int as n from prices where orig_code || dest_code = (
             select o.code || d.code from ports o, ports d where o.id = 1 and d.id = 5) and day < '2001-03-01'`,
        )
        counts.add(rows[0]!.n)
      }
    })()
    await Promise.all([trim(1), trim(1)])
    ended = true
    await reader
    expect([...counts].filter((n) => n !== 60 && n !== 0)).toEqual([])
    expect(await months()).toEqual([])
    expect(await trimmed()).toEqual(made)
  })

  it('leaves a batch alone that is still loading, and takes hidden ones', async () => {
    const loading = await insertBatch(pool, { state: 'open' })
    const failed = await insertBatch(pool, { state: 'failed' })
    const good = await insertBatch(pool)
    await pool.query('insert into hidden_batches values ($1), ($2)', [loading, failed])
    for (const no of [loading, failed, good]) await insert(no, ['2001-02-01'])
    await trim(1)
    expect((await readPackRows(pool)).map(({ batch_no }) => batch_no)).toEqual([loading])
    expect(await trimmed()).toEqual([failed, good])
  })

  it('does nothing where somebody else is at work, and comes back', async () => {
    const [first, second] = [await insertBatch(pool), await insertBatch(pool)]
    await insert([first, second], ['2001-02-01'])
    const place = { orig: 1, dest: 2, month: '2001-02-01' }
    // Somebody takes a batch out while the trimming waits for it.
    const holder = await pool.connect()
    await holder.query('begin')
    await holder.query('select from batches where no = $1 for update', [first])
    const trimming = trimStep(pool, [place])
    await waitingFor(pool, 'with held as .*update batches b set trimmed_at')
    await holder.query('delete from price_packs')
    const rest = packRow([{ batchNo: second, day: 4, price: 100 }], 1, 2, '2001-02-01')
    const late = Number((await holder.query(`insert into batches (id, state, finished_at) values ('late', 'succeeded', now()) returning no`)).rows[0].no) // prettier-ignore
    await insertPackRows(holder, [rest, packRow([{ batchNo: late, day: 4, price: 1 }], 1, 2, '2001-02-01')])
    await holder.query('commit')
    holder.release()
    expect(await trimming).toBe(0)
    expect(await readPackRows(pool)).toHaveLength(2)
    expect(await trimmed()).toEqual([])
    expect(await trimStep(pool, [place])).toBe(2)
    expect(await trimmed()).toEqual([second, late])
  })
})

describe('retention of the ledger', () => {
  const LONG = '30 days'

  it('forgets batches whose prices are gone, with all that belongs to them', async () => {
    const make = async (id: string, options: Parameters<typeof insertBatch>[1], change = ''): Promise<number> => {
      const no = await insertBatch(pool, { id, ago: LONG, ...options })
      if (change) await pool.query(`update batches set ${change} where no = $1`, [no])
      await pool.query(
        `insert into batch_chunks (batch_no, chunk, rows, rejected, sha256, digest, topic, partition, record_offset, record_time,
           bytes, worker, peak_memory, taken_at)
         values ($1, 0, 1, 0, 'x', decode(repeat('00', 16), 'hex'), 't', 0, 0, now(), 1, 'w', 1, now())`,
        [no],
      )
      await pool.query('insert into uploads (idempotency_key, batch_no) values ($1, $2)', [`key ${no}`, no])
      const reply = options?.dryRun ? `${id}/dry-run/succeeded` : `${id}/succeeded`
      await pool.query(
        `insert into outbox (reply_id, topic, batch_id, body, created_at, sent_at)
         values ($1, 'replies', $2, '', now() - $3::interval, now())`,
        [reply, id, options?.ago ?? LONG],
      )
      return no
    }
    await make('purged', { state: 'failed' }, 'purged_at = now()')
    await make('waiting-for-purge', { state: 'failed' })
    await make('same', { dryRun: true })
    await make('same', {})
    await make('empty', { rows: 0 })
    await make('young', { state: 'failed', ago: '20 days' }, 'purged_at = now()')
    await make('open', { state: 'open' })
    await make('trimmed', {}, 'trimmed_at = now()')
    await insert(await make('trimmed-in-part', {}, 'trimmed_at = now()'), ['2020-01-01'])
    const merged = [await make('merged-1', {}, 'trimmed_at = now()'), await make('merged-2', {})]
    await insert(merged, ['2020-01-01'])
    await make('unsent', { state: 'failed' }, 'purged_at = now()')
    await pool.query(`update outbox set sent_at = null where batch_id = 'unsent'`)
    await make('reverted-late', { state: 'failed' }, 'purged_at = now()')
    await pool.query(`update outbox set created_at = now() where batch_id = 'reverted-late'`)
    await pool.query(
      `insert into record_attempts (topic, partition, record_offset, attempts, last_at)
       values ('t', 0, 1, 1, now() - interval '30 days'), ('t', 0, 2, 1, now())`,
    )

    await forget(0)
    expect(await ids()).toHaveLength(13)
    await forget(29)
    const holding = ['trimmed-in-part', 'merged-1', 'merged-2', 'unsent', 'reverted-late']
    const kept = ['waiting-for-purge', 'same', 'young', 'open', ...holding]
    expect(await ids()).toEqual(kept)
    const left = async (table: string, column: string) =>
      (await pool.query(`select ${column} as is from ${table} order by 1`)).rows.map((row: { is: unknown }) => row.is)
    expect(await left('outbox', 'batch_id')).toEqual([...kept].sort())
    expect(await left('outbox', 'reply_id')).toContain('same/succeeded')
    expect(await left('batch_chunks', 'batch_no')).toHaveLength(kept.length)
    expect(await left('uploads', 'batch_no')).toHaveLength(kept.length)
    expect(await left('record_attempts', 'record_offset')).toEqual([2n])
    expect(await readPackRows(pool)).toHaveLength(2)
  })

  it('goes through any number of them', async () => {
    await pool.query(
      `insert into batches (id, state, finished_at, created_at, rows_accepted)
       select 'b' || i, 'succeeded', now() - interval '30 days', now() - interval '30 days', i % 2 from generate_series(1, 4500) i`,
    )
    await forget(29)
    const { rows } = await pool.query('select count(*)::int as n, sum(rows_accepted)::int as rows from batches')
    expect(rows).toEqual([{ n: 2250, rows: 2250 }])
  })
})
