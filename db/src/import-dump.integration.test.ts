import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { settings } from '@rates/ingest/config'
import { startWorker } from '@rates/ingest/worker'
import { loadConfig } from '@rates/service/config'
import { connectAdmin, type Admin } from '@rates/service/kafka-admin'
import { Lifecycle } from '@rates/service/lifecycle'
import { createLogger } from '@rates/service/log'
import { groupNames, topicNames } from '@rates/service/topics'
import { createTestTopics, type TestTopics } from '@rates/testing/kafka'
import { createTestDatabase, type TestDatabase } from '@rates/testing/postgres'
import pg from 'pg'
import { demoDump } from './demo-dump.ts'
import { DumpRefused } from './dump-refused.ts'
import { ImportRefused } from './import-batch.ts'
import { importDump, MissingTopics, type ImportOptions } from './import-dump.ts'

const DEMO = fileURLToPath(new URL('../demo/rates-demo.sql.gz', import.meta.url))
const log = createLogger('import-test', 'silent')

let folder: string
let database: TestDatabase
let topics: TestTopics
let client: pg.Client
let admin: Admin
const worker = new Lifecycle()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rates-import-'))
  ;[database, topics] = await Promise.all([createTestDatabase(), createTestTopics({ partitions: 6 })])
  client = new pg.Client({ connectionString: database.url })
  await client.connect()
  admin = await connectAdmin({ brokers: topics.brokers, clientId: 'import-test', log })
  const config = loadConfig(settings, {
    DATABASE_URL: database.url,
    KAFKA_BROKERS: topics.brokers.join(','),
    KAFKA_PREFIX: topics.prefix,
    MANAGEMENT_PORT: '0',
    HOST: '127.0.0.1',
    WORKER_NAME: 'import-test',
  })
  await startWorker(config, log, worker)
})
afterAll(async () => {
  await worker.stop()
  await Promise.allSettled([admin?.close(), client?.end()])
  await Promise.allSettled([database?.drop(), topics?.remove(), rm(folder, { recursive: true })])
})

let files = 0
async function save(content: string): Promise<string> {
  const file = join(folder, `${files++}.sql`)
  await writeFile(file, content)
  return file
}
const run = (file: string, options: Partial<ImportOptions> = {}) =>
  importDump({
    file,
    databaseUrl: database.url,
    kafka: { brokers: topics.brokers, prefix: topics.prefix },
    log,
    ...options,
  })

/** Everything an import may change. */
async function traces() {
  const { rows } = await client.query<{ version: string; batches: string }>(
    `select (select version from catalog) as version, (select count(*) from regions) as regions,
      (select count(*) from ports) as ports, (select max(id) from ports) as last_port_id,
      (select string_agg(id || ' ' || state, ',' order by no) from batches) as batches,
      (select count(*) from batch_chunks) as chunks, (select count(*) from prices) as prices`,
  )
  const names = topicNames(topics.prefix)
  const groups = groupNames(topics.prefix)
  const ends = await Promise.all([
    admin.progress(groups.batches, names.batches),
    admin.progress(groups.bulk, names.bulk),
  ])
  const records = ends.flat().reduce((sum, { high }) => sum + Number(high), 0)
  return { ...rows[0]!, records }
}

/** A small dump with ports of its own; `prices` are lines of a COPY block. */
function smallDump(mark: string, prices: string[]): string {
  return `COPY public.prices (orig_code, dest_code, day, price) FROM stdin;
${prices.map((line) => `${line.replaceAll('@', mark)}\n`).join('')}\\.
COPY public.ports (code, name, parent_slug) FROM stdin;
${mark}AAA	Port A	${mark}_coast
${mark}BBB	Port B	${mark}_coast
\\.
COPY public.regions (slug, name, parent_slug) FROM stdin;
${mark}_coast	Coast	${mark}_sea
${mark}_sea	Sea	\\N
\\.
`
}
const PRICES = ['@AAA\t@BBB\t2026-07-01\t100', '@AAA\t@BBB\t2026-07-01\t200', '@BBB\t@AAA\t2026-08-01\t300']
const shown = async (mark: string) => {
  const { rows } = await client.query<{ row: string }>(
    `select concat_ws(E'\\t', orig_code, dest_code, day, price) as row from prices where orig_code like $1 order by 1`,
    [`${mark}%`],
  )
  return rows.map(({ row }) => row.replaceAll(mark, '@'))
}

describe('importDump', () => {
  it('imports the demo once, whatever form its dump has', async () => {
    const first = await run(DEMO)
    expect(first).toMatchObject({
      regions: { added: 35, changed: 0, unchanged: 0 },
      ports: { added: 56, changed: 0, unchanged: 0 },
      alreadyImported: false,
    })
    const { rows: ledger } = await client.query(
      `select id, state, source, rows_accepted, 'import-' || encode(digest, 'hex') as by_content from batches`,
    )
    expect(ledger).toEqual([
      {
        id: first.batchId,
        state: 'succeeded',
        source: 'import',
        rows_accepted: BigInt(first.rows),
        by_content: first.batchId,
      },
    ])
    const { rows: stored } = await client.query<{ n: number; sum: number }>(
      'select count(*)::int as n, sum(price)::int as sum from prices',
    )
    const lines = demoDump()
      .split('\n')
      .filter((line) => /^[A-Z]{5}\t[A-Z]{5}\t/.test(line))
    const sum = lines.reduce((total, line) => total + Number(line.split('\t')[3]), 0)
    expect(stored).toEqual([{ n: lines.length, sum }])

    const before = await traces()
    const steps = new Set<string>()
    const again = await run(DEMO, { onProgress: ({ step }) => steps.add(step) })
    expect(again).toMatchObject({
      regions: { added: 0, changed: 0, unchanged: 35 },
      ports: { added: 0, changed: 0, unchanged: 56 },
      batchId: first.batchId,
      alreadyImported: true,
    })
    expect([...steps]).toEqual(['check'])
    const inserts = demoDump().replaceAll(
      /^([A-Z]{5})\t([A-Z]{5})\t(\S+)\t(\d+)$/gm,
      `INSERT INTO public.prices VALUES ('$1', '$2', '$3', $4);`,
    )
    const prices = /COPY public\.prices .*;\n([^]*?)\\\.\n/
    const variant = await run(await save(inserts.replace(prices, (_, rows: string) => rows)))
    expect(variant).toMatchObject({ batchId: first.batchId, alreadyImported: true, rows: first.rows })
    expect(await traces()).toEqual(before)
  })

  it('leaves no trace of a dump that is refused at its last line', async () => {
    const before = await traces()
    const dump = smallDump('BAD', PRICES)
    await expect(run(await save(dump.replace('Sea\t\\N', 'Sea\tBAD_coast')))).rejects.toThrow(DumpRefused)
    await expect(run(await save(dump.replace('\\.\nCOPY public.regions', '')))).rejects.toThrow('line ')
    await expect(run(await save(dump.slice(0, -3)))).rejects.toThrow('the file ends within the data of regions')
    expect(await traces()).toEqual(before)
  })

  it('writes what changed in regions and ports, also where the prices are there already', async () => {
    const dump = smallDump('CHG', PRICES)
    const { batchId } = await run(await save(dump))
    const before = await traces()
    const moved = dump.replace('Port B\tCHG_coast', 'Port Bee\tCHG_sea')
    expect(await run(await save(moved))).toMatchObject({
      regions: { added: 0, changed: 0, unchanged: 2 },
      ports: { added: 0, changed: 1, unchanged: 1 },
      batchId,
      alreadyImported: true,
    })
    const { rows } = await client.query(`select name, parent_slug from ports where code = 'CHGBBB'`)
    expect(rows).toEqual([{ name: 'Port Bee', parent_slug: 'CHG_sea' }])
    expect(await traces()).toMatchObject({ records: before.records, batches: before.batches })
    expect(Number((await traces()).version)).toBe(Number(before.version) + 1)
  })

  it('needs no Kafka for a dump without prices', async () => {
    const outcome = await run(await save(smallDump('CAT', [])), { kafka: { brokers: ['127.0.0.1:1'], prefix: '' } })
    expect(outcome).toMatchObject({ ports: { added: 2 }, rows: 0, batchId: null, alreadyImported: false })
  })

  it('says that an id is used up before it writes anything, and takes the next one when asked to', async () => {
    const dump = smallDump('USE', PRICES)
    const other = smallDump('USE', PRICES).replace('Port A', 'Port Alpha')
    const { batchId } = await run(await save(dump))
    await client.query(`update batches set state = 'reverted' where id = $1`, [batchId])
    await client.query(`insert into hidden_batches select no from batches where id = $1`, [batchId])
    const before = await traces()
    const refused = run(await save(other))
    await expect(refused).rejects.toThrow(ImportRefused)
    await expect(refused).rejects.toThrow('was imported and then reverted. Nothing of it is visible')
    expect(await traces()).toEqual(before)

    const again = await run(await save(other), { again: true })
    expect(again).toMatchObject({ batchId: `${batchId}-2`, alreadyImported: false })
    expect(await shown('USE')).toEqual(PRICES)
    expect(await run(await save(other), { again: true })).toMatchObject({ alreadyImported: true })
  })

  it('goes on by itself after an import that was broken off for so long that it failed as incomplete', async () => {
    const file = await save(smallDump('INC', PRICES))
    const { batchId } = await run(file)
    await client.query('alter table batches disable trigger user')
    await client.query(
      `update batches set state = 'failed', error = '{"code":"incomplete","message":"chunk 1 never came"}' where id = $1`,
      [batchId],
    )
    await client.query('alter table batches enable trigger user')
    await client.query(`insert into hidden_batches select no from batches where id = $1`, [batchId])
    expect(await run(file)).toMatchObject({ batchId: `${batchId}-2`, alreadyImported: false })
    expect(await shown('INC')).toEqual(PRICES)
  })

  it('leaves alone what was changed or reverted since, when it is to import once', async () => {
    const file = await save(smallDump('ONE', PRICES))
    const { batchId } = await run(file, { once: true })
    await client.query(`update ports set name = 'Renamed' where code = 'ONEAAA'`)
    const before = await traces()
    expect(await run(file, { once: true })).toMatchObject({ batchId, alreadyImported: true })
    expect(await traces()).toEqual(before)
    await client.query(`update batches set state = 'reverted' where id = $1`, [batchId])
    await client.query(`insert into hidden_batches select no from batches where id = $1`, [batchId])
    expect(await run(file, { once: true })).toMatchObject({ batchId, alreadyImported: true })
    expect(await shown('ONE')).toEqual([])
    const { rows } = await client.query(`select name from ports where code = 'ONEAAA'`)
    expect(rows).toEqual([{ name: 'Renamed' }])
  })

  it('lets two imports of one file at once take turns', async () => {
    const file = await save(smallDump('TWO', PRICES))
    const outcomes = await Promise.all([run(file), run(file)])
    expect(outcomes.map(({ alreadyImported }) => alreadyImported).sort()).toEqual([false, true])
    expect(await shown('TWO')).toEqual(PRICES)
  })

  it('goes on with what an interrupted import has sent', async () => {
    const mark = 'LONG'.repeat(75) // so that a few rows make many chunks
    const rows = Array.from({ length: 10_000 }, (_, i) => `@AAA\t@BBB\t2026-0${1 + (i % 9)}-11\t${1 + (i % 1000)}`)
    const file = await save(smallDump(mark, rows))
    const stop = new AbortController()
    const onProgress: ImportOptions['onProgress'] = (step) => {
      if (step.step === 'send' && step.rows > 0) stop.abort(new Error('interrupted'))
    }
    const before = await traces()
    await expect(run(file, { onProgress, signal: stop.signal })).rejects.toThrow('interrupted')
    expect((await traces()).records).toBe(before.records + 1) // of 8 chunks
    expect(await shown(mark)).toEqual([])
    const outcome = await run(file)
    expect(outcome).toMatchObject({ rows: 10_000, alreadyImported: false, ports: { unchanged: 2 } })
    expect((await traces()).records).toBe(before.records + 1 + 8)
    expect(await shown(mark)).toEqual(rows.sort())
  })

  it('tells which topics are missing, before it writes anything', async () => {
    const before = await traces()
    const elsewhere = run(await save(smallDump('TOP', PRICES)), { kafka: { brokers: topics.brokers, prefix: 'none.' } })
    await expect(elsewhere).rejects.toThrow(MissingTopics)
    expect(await traces()).toEqual(before)
  })
})
