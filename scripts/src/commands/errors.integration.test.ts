import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BadRow } from '@rates/core/bad-rows'
import { csv } from '@rates/testing/batches'
import { startLine, type Line } from '@rates/testing/line'
import { runRates, type Ran } from '@rates/testing/program'
import { startTestWorker } from '../../../services/ingest/src/test-worker.ts'
import { startTestApp, type TestApp } from '../../../services/rates-api/src/test-app.ts'

/** More than the API tells as JSON: prices of nothing, one port that nobody knows, and a value that CSV has to quote. */
const LINES = [
  ...Array.from({ length: 1500 }, (_, i) => `CNGGZ,NLRTM,2026-01-${String((i % 28) + 1).padStart(2, '0')},0`),
  'CNGGZ,XXXXX,2026-01-01,5',
  'CNGGZ,NLRTM,2026-01-01,"a ""b"", c"',
]

let line: Line
let api: TestApp
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rates-errors-'))
  line = await startLine()
  line.defer(() => rm(folder, { recursive: true }))
  await startTestWorker(line)
  api = await startTestApp({ DATABASE_URL: line.databaseUrl })
  line.defer(() => api.close())
  const value = csv(LINES)
  const { batches: topic } = line.topics
  await line.send([
    { topic, headers: { 'batch-id': 'bad' }, value },
    {
      topic,
      headers: { 'batch-id': 'rehearsed', 'dry-run': 'true', 'content-type': 'text/csv' },
      value: csv(LINES.slice(-1)),
    },
    { topic, headers: { 'batch-id': 'good' }, value: csv(['CNGGZ,NLRTM,2026-01-01,5']) },
  ])
  await Promise.all(['bad', 'rehearsed', 'good'].map((id) => line.reply(id)))
})
afterAll(() => line.close())

const errors = (...args: string[]): Promise<Ran> => runRates({ RATES_URL: api.url }, 'errors', ...args)

describe('rates errors', () => {
  it('shows the first 1 000 as a table, as show --errors does', async () => {
    const { code, out } = await errors('bad')
    const lines = out.split('\n')
    expect(lines.slice(0, 3)).toEqual([
      '  row  field  value  rule',
      '    1  price  0      price_out_of_range',
      '    2  price  0      price_out_of_range',
    ])
    expect(lines.slice(1000)).toEqual([
      '1 000  price  0      price_out_of_range',
      '',
      'The first 1 000 of 1 502 bad rows. Rows are counted from 1, without a header line.',
      'All of them, with their text: rates errors bad --format csv',
      '',
    ])
    expect(code).toBe(0)
    expect(await runRates({ RATES_URL: api.url }, 'show', 'bad', '--errors')).toEqual({ code, out, err: '' })
  })

  it('gives all of them as the API does, as CSV and as NDJSON', async () => {
    for (const format of ['csv', 'ndjson']) {
      const { code, out } = await errors('bad', '--format', format)
      expect(out).toBe((await api.get(`/batches/bad/errors?format=${format}`)).body)
      expect(code).toBe(0)
    }
  })

  it('writes all of them to a file, and says how many', async () => {
    const file = join(folder, 'bad.ndjson')
    expect(await errors('bad', '-o', file)).toEqual({ code: 0, out: `${file}: 1 502 bad rows\n`, err: '' })
    const rows = (await readFile(file, 'utf8')).trim().split('\n')
    expect(rows).toHaveLength(1502)
    expect(JSON.parse(rows[1501]!)).toMatchObject({ row: 1502, text: LINES[1501]! } satisfies Partial<BadRow>)
    const other = join(folder, 'bad.csv')
    await errors('bad', '-o', other)
    expect(await readFile(other, 'utf8')).toBe((await api.get('/batches/bad/errors?format=csv')).body)
  })

  it('shows only those that break a rule', async () => {
    const table = await errors('bad', '--rule', 'unknown_port')
    expect(table.out).toBe(
      '  row  field      value  rule\n' +
        '1 501  dest_code  XXXXX  unknown_port\n\n' +
        '1 bad row. Rows are counted from 1, without a header line.\n' +
        'All of them, with their text: rates errors bad --format csv --rule unknown_port\n',
    )
    const rows = await errors('bad', '--rule', 'not_a_whole_number', '--format', 'csv')
    expect(rows.out.split('\r\n').slice(1)).toEqual([
      '1502,0,1502,price,"a ""b"", c",not_a_whole_number,"CNGGZ,NLRTM,2026-01-01,""a """"b"""", c"""',
      '',
    ])
    expect((await errors('bad', '--rule', 'json')).out).toBe('No bad row of it breaks the rule json.\n')
  })

  it('knows batches without bad rows, and dry runs', async () => {
    expect(await errors('good')).toEqual({ code: 0, out: 'It has no bad rows.\n', err: '' })
    expect((await errors('rehearsed', '--dry-run', '--json')).out).toMatch(/^\{"batch":"rehearsed","rejected":1,/)
  })

  it.each([
    ['no such batch', ['nobody'], 1, 'There is no batch nobody.\n'],
    ['no such batch, before anything is written', ['nobody', '--format', 'csv'], 1, 'There is no batch nobody.\n'],
    ['no such dry run', ['bad', '--dry-run'], 1, 'There is no dry run bad.\n'],
    ['an unknown rule', ['bad', '--rule', 'x'], 2, 'Allowed choices are columns, '],
    [
      'a file that cannot be written',
      ['bad', '-o', '/none/x.csv'],
      2,
      '/none/x.csv cannot be written: ENOENT: no such',
    ],
    ['a table in a file', ['bad', '-o', 'x', '--format', 'table'], 2, '--output takes --format csv or ndjson'],
    ['no API', ['bad', '--url', 'http://127.0.0.1:1'], 3, 'The API at http://127.0.0.1:1 cannot be reached'],
  ])('tells %s', async (_, args, code, message) => {
    expect(await errors(...args)).toMatchObject({ code, out: '', err: expect.stringContaining(message) })
  })

  it('leaves files as they are if not all of them come', async () => {
    const server = createServer((_, answer) => {
      answer.writeHead(200, { 'content-type': 'application/x-ndjson' })
      answer.write(`${JSON.stringify({ row: 1 })}\n`, () => answer.destroy())
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const file = join(folder, 'part.csv')
    await writeFile(file, 'as it was')
    const { code, err } = await errors('bad', '-o', file, '--url', url)
    server.close()
    expect(code).toBe(3)
    expect(err).toContain(`The API at ${url} cannot be reached`)
    expect((await readdir(folder)).filter((name) => name.startsWith('part'))).toEqual(['part.csv'])
    expect(await readFile(file, 'utf8')).toBe('as it was')
  })
})
