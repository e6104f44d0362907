import 'reflect-metadata'
import { startPostgres } from '@rates/local/postgres'
import { migrate } from '@rates/db/migrate'
import { createPool } from '@rates/service/postgres'
import { createLogger } from '@rates/service/log'
import { look } from './batch-feed-look.ts'
import { Ledger, ledgerSource } from './ledger.ts'

const log = createLogger('m', 'fatal')
const server = await startPostgres({ dir: '/tmp/a-live/pg', port: 0, onProgress: () => undefined })
try {
  await migrate(server.url)
  const pool = createPool(server.url, { name: 'm', max: 2, log })
  const { rows } = await pool.query<{ n: bigint }>('select count(*) as n from batches')
  if (rows[0]!.n === 0n) {
    console.time('fill')
    await pool.query(`insert into batches (id, state, source, finished_at, chunks_expected, rows_accepted, rows_rejected)
      select 'supplier-' || i, case when i % 50 = 0 then 'failed' else 'succeeded' end, 's' || i % 40, now(), c, c * 30000, 0
      from (select i, case when i % 100 = 0 then 150 when i % 10 = 0 then 20 else 1 end as c from generate_series(1, 200000) i) x`)
    await pool.query(`update batches set state = 'reverted' where state = 'succeeded' and no % 40 = 1`)
    await pool.query(`update batches set hidden_at = hidden_at - no * interval '1 minute' where hidden_at is not null`).catch((e) => console.log(String(e)))
    await pool.query(`insert into batch_chunks (batch_no, chunk, total, rows, rejected, sha256, digest, topic, partition, record_offset, record_time, bytes, worker, peak_memory, attempt, taken_at)
      select no, c, chunks_expected, 30000, 0, sha256('x'), decode(repeat('00', 16), 'hex'), 'rates.batches.bulk', c % 12, c, now(), 300000, 'worker-' || c % 4, 1e8, 1, now()
      from batches, generate_series(0, chunks_expected - 1) c`)
    await pool.query('vacuum analyze')
    console.timeEnd('fill')
  }
  console.log((await pool.query(`select (select count(*) from batches) b, (select count(*) from batch_chunks) c, (select count(*) from batches where hidden_at is not null) h, pg_size_pretty(pg_relation_size('batches')) s`)).rows)
  const since = { no: 199900n, at: Date.now() / 1000 }
  const measure = async (what: string, run: () => Promise<unknown>): Promise<void> => {
    for (let i = 0; i < 20; i++) await run()
    const times: number[] = []
    const cpu = process.cpuUsage()
    for (let i = 0; i < 200; i++) { const t = performance.now(); await run(); times.push(performance.now() - t) }
    const used = process.cpuUsage(cpu)
    times.sort((a, b) => a - b)
    console.log(what, 'median', times[100]!.toFixed(2), 'p95', times[190]!.toFixed(2), 'ms; node cpu', ((used.user + used.system) / 1000 / 200).toFixed(2), 'ms')
  }
  const now = (): { no: bigint; at: number } => ({ ...since, at: Date.now() / 1000 })
  await measure('select 1', () => pool.query('select 1'))
  await measure('all, nothing open', () => look(pool, { all: true, names: [], open: [], since: now() }))
  await measure('one by name', () => look(pool, { all: false, names: [{ id: 'supplier-77', dryRun: false }], open: [], since: undefined }))
  const names = Array.from({ length: 500 }, (_, i) => ({ id: `supplier-${i * 399 + 1}`, dryRun: false }))
  await measure('500 by name', () => look(pool, { all: false, names, open: [], since: undefined }))
  const ledger = new Ledger(ledgerSource(server.url, 2), { publicUrl: '', logTemplate: undefined })
  for (const [n, c] of [[10, 150], [100, 150]] as const) {
    await pool.query(`insert into batches (id, state) select 'open-${n}-' || i, 'open' from generate_series(1, ${n}) i`)
    await pool.query(`insert into batch_chunks (batch_no, chunk, total, rows, rejected, sha256, digest, topic, partition, record_offset, record_time, bytes, worker, peak_memory, attempt, taken_at)
      select no, c, 200, 30000, 0, sha256('x'), decode(repeat('00', 16), 'hex'), 'rates.batches.bulk', c % 12, c, now(), 300000, 'worker-' || c % 4, 1e8, 1, now()
      from batches, generate_series(0, ${c - 1}) c where state = 'open'`)
    const open = (await pool.query<{ no: bigint }>(`select no from batches where state = 'open'`)).rows.map(({ no }) => no)
    await measure(`all, ${n} open with ${c} chunks each`, () => look(pool, { all: true, names: [], open, since: now() }))
    await measure(`all, ${n} open ... and 500 by name`, () => look(pool, { all: true, names, open, since: now() }))
    await measure(`views of ${n} open`, () => ledger.byNumbers(open))
    await measure(`view of 1 open`, () => ledger.byNumbers(open.slice(0, 1)))
    if (n === 10) {
      const plan = await pool.query<{ 'QUERY PLAN': string }>({ text: 'explain (analyze, buffers, costs off) execute feed' }).catch(() => undefined)
      void plan
    }
    await pool.query(`delete from batch_chunks where batch_no > 200000`)
    await pool.query(`delete from batches where no > 200000`)
  }
  await measure('views of 1 ended with 150 chunks', () => ledger.byNumbers([200000n]))
  await measure('views of newest 50', () => ledger.byNumbers(Array.from({ length: 50 }, (_, i) => BigInt(200000 - i))))
  await measure('all, window of 5000', () => look(pool, { all: true, names: [], open: [], since: { ...now(), no: 1n } }))
  const q = (await import('./batch-feed-look.ts')) as unknown as { LOOK?: string }
  if (q.LOOK) {
    const c = await pool.connect()
    await c.query(`prepare feed (boolean, bigint[], text[], boolean[], bigint, float8) as ${q.LOOK}`)
    await c.query('set plan_cache_mode = force_generic_plan')
    const { rows: plan } = await c.query<{ 'QUERY PLAN': string }>(`explain (analyze, buffers) execute feed(true, '{}', '{}', '{}', 199900, extract(epoch from now()))`)
    console.log(plan.map((r) => r['QUERY PLAN']).join('\n'))
    c.release()
  }
  await ledger.close()
  await pool.end()
} finally {
  await server.stop()
}
