import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Reply } from '@rates/core/batch'
import { loadConfig } from '@rates/service/config'
import { connectAdmin } from '@rates/service/kafka-admin'
import { Lifecycle } from '@rates/service/lifecycle'
import { createLogger } from '@rates/service/log'
import { topicNames } from '@rates/service/topics'
import { eventually } from '@rates/testing/eventually'
import { createTestTopics } from '@rates/testing/kafka'
import { createTestDatabase } from '@rates/testing/postgres'
import pg from 'pg'
import { settings } from '../../../services/ingest/src/config.ts'
import { startWorker } from '../../../services/ingest/src/worker.ts'
import { startTestApp } from '../../../services/rates-api/src/test-app.ts'

const program = fileURLToPath(new URL('../rates.ts', import.meta.url))
const lifecycle = new Lifecycle()
const log = createLogger('test', 'silent')
/** Of a platform with a worker and an API, and of topics that nobody reads. */
let served: Record<string, string>
let unserved: Record<string, string>
let db: pg.Pool
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rates-produce-'))
  lifecycle.defer('folder', () => rm(folder, { recursive: true }))
  const database = await createTestDatabase()
  lifecycle.defer('database', () => database.drop())
  db = new pg.Pool({ connectionString: database.url })
  lifecycle.defer('pool', () => db.end())
  await db.query(`insert into regions values ('world', 'World', null)`)
  await db.query(
    `insert into ports (code, name, parent_slug) values ('CNSHA', 'Shanghai', 'world'), ('NLRTM', 'Rotterdam', 'world')`,
  )
  const [topics, silent] = await Promise.all([createTestTopics({ partitions: 2 }), createTestTopics({ partitions: 1 })])
  for (const each of [topics, silent]) lifecycle.defer('topics', () => each.remove())
  const api = await startTestApp({ DATABASE_URL: database.url })
  lifecycle.defer('api', () => api.close())
  const kafka = { KAFKA_BROKERS: topics.brokers.join(), KAFKA_PREFIX: topics.prefix }
  const env = { ...kafka, DATABASE_URL: database.url, MANAGEMENT_PORT: '0', WORKER_NAME: 'w', HOST: '127.0.0.1' }
  await startWorker(loadConfig(settings, env), log, lifecycle)
  served = { ...kafka, RATES_URL: api.url }
  unserved = { ...served, KAFKA_PREFIX: silent.prefix }
})
afterAll(() => lifecycle.stop())

interface Run {
  child: ChildProcess
  ended: Promise<{ code: number | null; out: string; err: string }>
}

function start(env: Record<string, string>, ...args: string[]): Run {
  const inherited = { ...process.env }
  delete inherited['NODE_OPTIONS'] // Jest's
  const flags = ['--conditions=source', '--disable-warning=TimeoutNegativeWarning', program]
  const child = spawn(process.execPath, [...flags, ...args], { env: { ...inherited, ...env }, cwd: folder })
  const said = { out: '', err: '' }
  child.stdout.on('data', (data) => (said.out += String(data)))
  child.stderr.on('data', (data) => (said.err += String(data)))
  child.stdin.on('error', () => undefined) // it may end before it has read all
  return { child, ended: new Promise((resolve) => child.once('close', (code) => resolve({ code, ...said }))) }
}

const run = (env: Record<string, string>, ...args: string[]) => start(env, ...args).ended

const HEADER = 'orig_code,dest_code,day,price\n'
const rows = (count: number): string => HEADER + 'CNSHA,NLRTM,2026-01-31,1200\n'.repeat(count)
async function file(name: string, content: string): Promise<string> {
  await writeFile(join(folder, name), content)
  return name
}
const visible = async (): Promise<number> => {
  const found = await db.query<{ n: string }>('select count(*) as n from prices')
  return Number(found.rows[0]!.n)
}
const stateOf = async (id: string): Promise<string | undefined> =>
  (await db.query<{ state: string }>('select state from batches where id = $1', [id])).rows[0]?.state

describe('rates produce', () => {
  it('sends a file and tells its success; the same again is harmless', async () => {
    const before = await visible()
    const args = ['produce', await file('ok.csv', rows(40_000)), '--batch-id', 'ok', '--source', 'acme']
    const first = await run(served, ...args)
    expect(first).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^batch ok\nsucceeded: 40 000 rows in 2 chunks, /),
    })
    const again = await run(served, ...args)
    expect(again).toMatchObject({ code: 0, out: expect.stringContaining('succeeded before, at ') })
    expect(await visible()).toBe(before + 40_000)
    const other = await run(served, 'produce', await file('other.csv', rows(1)), '--batch-id', 'ok', '--source', 'acme')
    expect(other).toMatchObject({ code: 1, out: expect.stringContaining('refused (id_conflict): other.csv') })

    const list = await run(served, 'list', '--source', 'acme')
    expect(list.out).toMatch(/^batch.*\nok +succeeded +acme +40 000 +- /)
    expect((await run(served, 'show', 'ok')).out).toMatch(/\nrows +40 000 accepted, 0 rejected\nchunks +2 of 2, /)
  })

  it('tells bad rows by their numbers in the file, also those of later chunks', async () => {
    const before = await visible()
    const lines = rows(80_000).split('\n')
    lines[17] = 'CNSHA,NLRTM,2026-02-30,1200'
    lines[70_001] = 'CNSHA,XXXXX,2026-01-31,1200'
    const result = await run(served, 'produce', await file('bad.csv', lines.join('\n')), '--batch-id', 'bad')
    expect(result.code).toBe(1)
    expect(result.out).toContain('failed: bad.csv: 2 of 80 000 rows break a rule; nothing of the batch is visible')
    expect(result.out).toContain(
      '     row  field      value       rule\n' +
        '      17  day        2026-02-30  not_a_date\n' +
        '  70 001  dest_code  XXXXX       unknown_port\n',
    )
    const url = /curl '(.*)'/.exec(result.out)![1]!
    expect(await (await fetch(url)).text()).toContain('\r\n70001,2,')
    expect((await run(served, 'show', 'bad', '--errors')).out).toContain('70 001  dest_code  XXXXX       unknown_port')
    expect(await visible()).toBe(before)
  })

  it('reads standard input and answers in JSON', async () => {
    const before = await visible()
    const { child, ended } = start(
      served,
      'produce',
      '-',
      '--dry-run',
      '--json',
      '--compress',
      'zstd',
      '--correlation-id',
      'c 1',
    )
    child.stdin!.end('{"orig_code":"CNSHA","dest_code":"NLRTM","day":"2026-01-31","price":12}\n')
    const { code, out } = await ended
    expect(code).toBe(0)
    const reply = JSON.parse(out) as Reply
    expect(reply).toMatchObject({ state: 'succeeded', dryRun: true, correlationId: 'c 1', rows: { accepted: 1 } })
    expect(await visible()).toBe(before)
  })

  it('rehearses a file by its dry run, after which the same id is sent for real', async () => {
    const before = await visible()
    const args = ['produce', await file('rehearsed.csv', rows(5)), '--batch-id', 'rehearsed']
    const dry = await run(served, ...args, '--dry-run')
    expect(dry).toMatchObject({ code: 0, out: expect.stringContaining('succeeded (dry run): 5 rows in 1 chunk') })
    expect(await visible()).toBe(before)
    const stored = await db.query(
      `select from price_packs p join batches b on b.no = p.batch_no where b.id = 'rehearsed'`,
    )
    expect(stored.rowCount).toBe(0)
    const real = await run(served, ...args)
    expect(real).toMatchObject({ code: 0, out: expect.stringContaining('\nsucceeded: 5 rows in 1 chunk, visible') })
    expect(await visible()).toBe(before + 5)
    expect((await run(served, 'show', 'rehearsed', '--dry-run')).out).toMatch(/state +succeeded \(dry run\)/)
  })

  it('is cancelled by Ctrl-C half-way', async () => {
    const before = await visible()
    const { child, ended } = start(served, 'produce', '-', '--batch-id', 'stopped')
    child.stdin!.write(rows(250_000)) // the first chunks go, the end never comes
    await eventually(async () => (await stateOf('stopped')) === 'open', { what: 'the first chunk' })
    child.kill('SIGINT')
    const { code, out } = await ended
    expect(out).toContain('cancelled: standard input: its sender cancelled it; nothing of it is visible')
    expect(code).toBe(4)
    expect(await stateOf('stopped')).toBe('cancelled')
    expect(await visible()).toBe(before)
  })

  it('has nothing to cancel before anything is read', async () => {
    const { child, ended } = start(served, 'produce', '-', '--batch-id', 'unread')
    child.stdout!.once('data', () => child.kill('SIGINT')) // it has told the id
    expect(await ended).toMatchObject({ code: 4, err: expect.stringContaining('nothing was sent') })
    expect(await stateOf('unread')).toBeUndefined()
  })

  it('cancels what it has sent of a file that turns out to be damaged, and names the row', async () => {
    const name = await file('open.csv', `${rows(200_000)}CNSHA,"NLRTM,2026-01-31,1\n${rows(10_000)}`)
    const result = await run(served, 'produce', name, '--batch-id', 'open')
    expect(result.err).toMatch(/open\.csv: row 200001 is longer than 65536 bytes.* The batch was cancelled/)
    expect(result.code).toBe(1)
    expect(await stateOf('open')).toBe('cancelled')
  })

  it('leaves the batch as it is when Ctrl-C comes twice', async () => {
    const { child, ended } = start(unserved, 'produce', await file('one.csv', rows(1)))
    const admin = await connectAdmin({ brokers: served['KAFKA_BROKERS']!.split(','), clientId: 'test', log })
    try {
      const { batches } = topicNames(unserved['KAFKA_PREFIX']!)
      const sent = async () => (await admin.progress('none', batches)).some(({ high }) => high > 0n)
      await eventually(sent, { what: 'the record', within: 20_000 })
    } finally {
      await admin.close()
    }
    // What comes within half a second counts as one.
    void eventually(() => Promise.resolve(!child.kill('SIGINT')), { every: 600 })
    expect((await ended).code).toBe(130)
  })

  it.each([
    ['no such file', [], ['none.csv'], 2, 'There is no file none.csv.'],
    ['an unknown option', [], ['--speed'], 2, 'unknown option'],
    [
      'a file without rows',
      [['empty.csv', HEADER]],
      ['empty.csv'],
      1,
      'empty.csv: there are no rows in it. Nothing was sent.',
    ],
    ['a broker that is not there', [['a.csv', rows(1)]], ['a.csv'], 3, 'Kafka cannot be reached at 127.0.0.1:1 ('],
    ['topics that are not there', [['a.csv', rows(1)]], ['a.csv'], 3, 'has no topic other.rates.batches'],
    ['no reply in time', [['a.csv', rows(1)]], ['a.csv', '--timeout', '0.1s'], 3, 'There was no reply within 0.1 s'],
  ] as const)('tells %s', async (what, files, args, code, message) => {
    for (const [name, content] of files) await file(name, content)
    const env = { ...unserved }
    if (what.includes('broker')) env['KAFKA_BROKERS'] = '127.0.0.1:1'
    if (what.includes('topics')) env['KAFKA_PREFIX'] = 'other.'
    expect(await run(env, 'produce', ...args)).toMatchObject({ code, err: expect.stringContaining(message) })
  })
})

describe('rates topics', () => {
  it('tells what is there and what is not as it should be', async () => {
    const prefix = `${unserved['KAFKA_PREFIX']}more.`
    const env = { ...unserved, KAFKA_PREFIX: prefix }
    const admin = await connectAdmin({ brokers: served['KAFKA_BROKERS']!.split(','), clientId: 'test', log })
    try {
      await admin.createTopic(`${prefix}rates.batches`, 2, 1, { 'retention.ms': '1000' })
      const { code, out, err } = await run(env, 'topics', '--partitions', '4')
      expect(code).toBe(0)
      expect(out).toMatch(
        /rates\.batches +there already, 2 partitions, 1 replica\n.*rates\.batches\.bulk +created, 4 partitions/,
      )
      expect(err).toContain('warning: it has 2 partitions, not 4\n')
      expect(err).toContain('warning: retention.ms is 1000, not at least 604800000\n')
      expect(err).toContain('warning: message.timestamp.type is CreateTime, not LogAppendTime\n')
    } finally {
      await admin.deleteTopics(Object.values(topicNames(prefix)))
      await admin.close()
    }
  })
})
