import { createLogger } from '@rates/service/log'
import { createMetrics } from '@rates/service/metrics'
import { createPool } from '@rates/service/postgres'
import { parseMetrics, type Sample } from '@rates/testing/metrics-text'
import { createTestDatabase } from '@rates/testing/postgres'
import { type NestFastifyApplication } from '@nestjs/platform-fastify'
import { type Pool } from 'pg'
import { createApp, listen } from './app.module.ts'
import { readSettings } from './config.ts'
import { Ledger, ledgerSource } from './ledger.ts'
import { stopping } from './problem.ts'
import { SharedProducer } from './shared-producer.ts'

/** The service for tests, on a database of its own unless they name one. */
export interface TestApp {
  url: string
  databaseUrl: string
  app: NestFastifyApplication
  pool: Pool
  /** Breaks off uploads as a stop does whose time is up. */
  stop(): void
  metrics(): Promise<Sample[]>
  get(path: string, headers?: Record<string, string>): Promise<{ status: number; body: unknown; type: string }>
  close(): Promise<void>
}

export async function startTestApp(env: Record<string, string> = {}): Promise<TestApp> {
  const database = env['DATABASE_URL'] === undefined ? await createTestDatabase() : undefined
  const settings = readSettings({
    DATABASE_URL: database?.url,
    KAFKA_BROKERS: '127.0.0.1:1',
    LOG_LEVEL: 'fatal',
    ...env,
  })
  const log = createLogger('rates-api', settings.LOG_LEVEL)
  const metrics = createMetrics({ version: settings.BUILD_VERSION })
  const pool = createPool(settings.DATABASE_URL, { name: 'rates-api', max: 4, log })
  const links = { publicUrl: settings.PUBLIC_URL, logTemplate: settings.BATCH_LOG_TEMPLATE }
  const ledger = new Ledger(ledgerSource(settings.DATABASE_URL, 2), links)
  const producer = new SharedProducer({ brokers: settings.KAFKA_BROKERS, clientId: 'rates-api', log })
  const aborted = new AbortController()
  const { registry } = metrics
  const draining = (): boolean => aborted.signal.aborted
  const app = await createApp({ settings, log, registry, pool, ledger, producer, stopping: aborted.signal, draining })
  const url = `http://127.0.0.1:${await listen(app, '127.0.0.1', 0)}`
  return {
    url,
    databaseUrl: settings.DATABASE_URL,
    app,
    pool,
    stop: () => aborted.abort(stopping()),
    metrics: async () => parseMetrics(await registry.metrics()),
    async get(path, headers = {}) {
      const answer = await fetch(url + path, { headers })
      const text = await answer.text()
      const type = answer.headers.get('content-type') ?? ''
      return { status: answer.status, body: type.includes('json;') || type.endsWith('json') ? parse(text) : text, type }
    },
    async close() {
      await app.close()
      await producer.close()
      await ledger.close()
      await pool.end()
      metrics.close()
      await database?.drop()
    },
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Ports `code:region` and regions `slug:parent` (`slug` alone is a root), given in an order in which they can be made. */
export async function seedCatalog(pool: Pool, regions: readonly string[], ports: readonly string[]): Promise<void> {
  for (const region of regions) {
    const [slug, parent] = region.split(':')
    await pool.query('insert into regions (slug, name, parent_slug) values ($1, $2, $3)', [
      slug,
      `Region ${slug}`,
      parent,
    ])
  }
  for (const port of ports) {
    const [code, region] = port.split(':')
    await pool.query('insert into ports (code, name, parent_slug) values ($1, $2, $3)', [code, `Port ${code}`, region])
  }
}

export type Price = readonly [orig: string, dest: string, day: string, price: number]

const PACK = `
insert into price_packs (batch_no, orig, dest, month, days, n, s, prices)
select $1, orig, dest, month, array_agg(day - month order by day), array_agg(n order by day), array_agg(s order by day),
  (select array_agg(r.price order by r.day) from jsonb_to_recordset($2) as r(o text, d text, day date, price int)
   join ports ro on ro.code = r.o join ports rd on rd.code = r.d
   where ro.id = orig and rd.id = dest and date_trunc('month', r.day)::date = month)
from (
  select o.id as orig, d.id as dest, date_trunc('month', p.day)::date as month, p.day, count(*) as n, sum(p.price) as s
  from jsonb_to_recordset($2) as p(o text, d text, day date, price int)
  join ports o on o.code = p.o join ports d on d.code = p.d
  group by 1, 2, 3, 4
) days group by orig, dest, month`

/** Puts prices into packs of a new batch, which is published unless `hidden`. @returns its number in the ledger */
export async function seedPrices(pool: Pool, id: string, prices: readonly Price[], hidden = false): Promise<bigint> {
  const opened = await pool.query<{ no: bigint }>(
    `insert into batches (id, state, finished_at) values ($1, $2, $3) returning no`,
    [id, hidden ? 'open' : 'succeeded', hidden ? null : new Date()],
  )
  const { no } = opened.rows[0]!
  if (hidden) await pool.query('insert into hidden_batches values ($1)', [no])
  const rows = prices.map(([o, d, day, price]) => ({ o, d, day, price }))
  await pool.query(PACK, [no, JSON.stringify(rows)])
  return no
}
