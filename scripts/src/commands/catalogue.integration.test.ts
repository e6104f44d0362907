import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Batch, type Reply } from '@rates/core/batch'
import { startLine, type Line } from '@rates/testing/line'
import { startTestWorker } from '../../../services/ingest/src/test-worker.ts'
import { startTestApp, type TestApp } from '../../../services/rates-api/src/test-app.ts'
import { type Changes } from '../catalogue.ts'

const program = fileURLToPath(new URL('../rates.ts', import.meta.url))
let line: Line
let api: TestApp
let folder: string
let env: Record<string, string>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rates-catalogue-'))
  line = await startLine({ partitions: 1 })
  line.defer(() => rm(folder, { recursive: true }))
  api = await startTestApp({ DATABASE_URL: line.databaseUrl })
  line.defer(() => api.close())
  await startTestWorker(line)
  env = { RATES_URL: api.url, KAFKA_BROKERS: line.brokers.join(), KAFKA_PREFIX: line.prefix }
})
afterAll(() => line.close())

function run(args: string[], input = ''): Promise<{ code: number | null; out: string; err: string }> {
  const inherited = { ...process.env }
  delete inherited['NODE_OPTIONS'] // Jest's
  const flags = ['--conditions=source', '--disable-warning=TimeoutNegativeWarning', program]
  const child = spawn(process.execPath, [...flags, ...args], { env: { ...inherited, ...env }, cwd: folder })
  const said = { out: '', err: '' }
  child.stdout.on('data', (data) => (said.out += String(data)))
  child.stderr.on('data', (data) => (said.err += String(data)))
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, ...said })))
}
const save = (name: string, lines: string[]): Promise<void> => writeFile(join(folder, name), lines.join('\n'))

describe('rates regions and rates ports', () => {
  it('import files, tell what changed, and list what is there', async () => {
    await save('regions.csv', ['slug,name,parent_slug', 'rhine,Rhine,europe', 'europe,Europe,'])
    const regions = await run(['regions', 'import', 'regions.csv'])
    expect(regions).toMatchObject({ code: 0, err: '' })
    expect(regions.out).toBe(
      '     slug    name    parent\nnew  rhine   Rhine   europe\nnew  europe  Europe  -\n\n' +
        'regions.csv: regions: 2 added, 0 changed, 0 unchanged.\n',
    )
    const ports = 'code,name,parent_slug\nDEDUI,"Duisburg, Ruhrort",rhine\nNLRTM,Rotterdam,europe\n'
    const dry = await run(['ports', 'import', '--dry-run', '-'], ports)
    expect(dry).toMatchObject({ code: 0, err: '' })
    expect(dry.out).toContain('new      DEDUI  Duisburg, Ruhrort   rhine')
    expect(dry.out).toContain('changed  NLRTM  NLRTM -> Rotterdam  world -> europe')
    expect(dry.out).toContain('standard input: ports: would be 1 added, 1 changed, 0 unchanged; this was a dry run.')
    expect((await run(['ports', 'list'])).out).not.toContain('DEDUI')

    const real = await run(['ports', 'import', '-', '--json'], ports)
    expect(JSON.parse(real.out) as Changes).toMatchObject({ dryRun: false, added: 1, changed: 1 })
    expect(await run(['ports', 'import', '-'], ports)).toMatchObject({
      code: 0,
      out: 'standard input: ports: 0 added, 0 changed, 2 unchanged.\n',
    })
    expect((await run(['ports', 'list'])).out).toMatch(/^code +name +region\n(.*\n)*DEDUI +Duisburg, Ruhrort +rhine\n/)
    expect(JSON.parse((await run(['regions', 'list', '--json'])).out)).toContainEqual({
      slug: 'rhine',
      name: 'Rhine',
      parent: 'europe',
    })
  })

  it('tell every fault with its line, and change nothing', async () => {
    await save('bad.csv', ['code,name,parent_slug', 'GOOD,Good,rhine', 'BAD,Bad,narnia', ' X,,rhine'])
    const before = await run(['ports', 'list'])
    const refused = await run(['ports', 'import', 'bad.csv'])
    expect(refused).toMatchObject({ code: 1, out: '' })
    expect(refused.err).toBe(`refused: bad.csv: 3 faults; nothing was changed

  line  field        value   rule
     3  parent_slug  narnia  unknown_region  no region has this slug
     4  code         " X"    spaces          no spaces at the start or the end
     4  name         ""      empty           the field is not empty
`)
    expect(await run(['ports', 'list'])).toEqual(before)
  })

  it('tell what is no file, and an API that is away', async () => {
    expect(await run(['ports', 'import', 'none.csv'])).toMatchObject({ code: 2, err: 'There is no file none.csv.\n' })
    expect(await run(['ports', 'import', '.'])).toMatchObject({ code: 2 })
    expect(await run(['ports', 'import'])).toMatchObject({ code: 2 })
    expect(await run(['ports', 'import', '-'], 'x'.repeat((8 << 20) + 1))).toMatchObject({
      code: 1,
      err: 'standard input has more than 8 MiB.\n',
    })
    env = { ...env, RATES_URL: 'http://127.0.0.1:1' }
    expect(await run(['ports', 'import', 'bad.csv'])).toMatchObject({ code: 3 })
    env = { ...env, RATES_URL: api.url }
  })
})

describe('a batch that names an unknown port', () => {
  const batch = (id: string): Promise<void> =>
    line.send([
      {
        topic: line.topics.batches,
        headers: { 'batch-id': id },
        value: Buffer.from('CNNEW,NLRTM,2026-01-31,1200\nCNNEW,NLRTM,2026-01-31,1300\nCNNEW,NLRTM,2026-01-31,1400\n'),
      },
    ])
  const hint = /rates ports import FILE\.csv.*PUT \/ports\/CODE/

  it('fails and says how to add it; the next one succeeds right after that', async () => {
    await batch('unknown')
    const reply: Reply = await line.reply('unknown')
    expect(reply).toMatchObject({ state: 'failed', error: { code: 'rejected_rows', rules: { unknown_port: 3 } } })
    expect(reply.error!.message).toMatch(hint)
    expect(((await api.get('/batches/unknown')).body as Batch).error!.message).toMatch(hint)
    const produced = await run(['produce', '-', '--batch-id', 'by-hand'], 'CNNEW,NLRTM,2026-01-31,1200\n')
    expect(produced.code).toBe(1)
    expect(produced.out).toMatch(hint)

    const answer = await fetch(`${api.url}/ports/CNNEW`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'New', region: 'world' }),
    })
    expect(answer.status).toBe(201)
    await batch('known')
    expect(await line.reply('known')).toMatchObject({ state: 'succeeded', rows: { accepted: 3, rejected: 0 } })
    const asked = 'date_from=2026-01-31&date_to=2026-01-31&orig_code=CNNEW&dest_code=NLRTM'
    expect((await api.get(`/rates?${asked}`)).body).toEqual({ rates: [{ count: 3, day: '2026-01-31', price: 1300 }] })
  })

  it('has no such hint where other rules are broken', async () => {
    await line.send([
      {
        topic: line.topics.batches,
        headers: { 'batch-id': 'price' },
        value: Buffer.from('CNGGZ,NLRTM,2026-01-31,0\n'),
      },
    ])
    const { error } = await line.reply('price')
    expect(error!.message).toBe('1 of 1 rows break a rule; nothing of the batch is visible')
  })
})
