import { once } from 'node:events'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { packErrors } from '@rates/service/ledger/row-errors'
import { FIELDS, type Rejection } from '@rates/core/rejection'
import { RejectionLog } from '@rates/core/rejection-log'
import { BatchErrors } from './batch-errors.ts'
import { batchesSchema, batchSchema, rowErrorsSchema } from './schemas.ts'
import { startTestApp, type TestApp } from './test-app.ts'

let api: TestApp
beforeAll(async () => {
  api = await startTestApp({ BATCH_LOG_TEMPLATE: '/logs/{worker}.log' })
})
afterAll(() => api.close())

async function open(
  id: string,
  row: { state?: string; source?: string; dryRun?: boolean; error?: object } = {},
): Promise<bigint> {
  const { state = 'open', source = null, dryRun = false, error = null } = row
  const { rows } = await api.pool.query<{ no: bigint }>(
    `insert into batches (id, state, source, dry_run, error, finished_at) values ($1, $2, $3, $4, $5, $6) returning no`,
    [id, state, source, dryRun, error === null ? null : JSON.stringify(error), state === 'open' ? null : new Date()],
  )
  return rows[0]!.no
}

function logOf(rejections: readonly Rejection[]): RejectionLog {
  const log = new RejectionLog()
  for (const { row, field, rule, text, value } of rejections) {
    const bytes = Buffer.from(text)
    log.addText(row, field === null ? 0 : FIELDS.indexOf(field) + 1, rule, bytes, 0, bytes.length, value)
  }
  return log
}

async function store(
  no: bigint,
  chunk: number,
  rows: number,
  rejections: readonly Rejection[] = [],
  total?: number,
): Promise<void> {
  const rejected = new Set(rejections.map(({ row }) => row)).size
  await api.pool.query(
    `insert into batch_chunks (batch_no, chunk, total, rows, rejected, errors, sha256, digest, topic, partition, record_offset,
       record_time, bytes, worker, peak_memory, attempt, taken_at)
     values ($1, $2::int, $3, $4, $5, $6, '\\x00', decode(repeat('00', 16), 'hex'), 't', 0, $2::int, clock_timestamp() - interval '2 s', 1000,
       'w' || $2::int % 2, 50000000 + $2::int, 1 + $2::int % 3, clock_timestamp() - interval '1 s')`,
    [no, chunk, total ?? null, rows, rejected, rejections.length > 0 ? await packErrors(logOf(rejections)) : null],
  )
}

const bad = (row: number, text = 'CNGGZ,EETLL,2021-01-01,x'): Rejection => ({
  row,
  field: 'price',
  value: 'x',
  rule: 'not_a_whole_number',
  text,
})

describe('GET /batches/:id', () => {
  it('shows what its chunks add up to', async () => {
    const no = await open('sums', { source: 'acme' })
    await store(no, 0, 100, [], 4)
    await store(no, 2, 50, [bad(7), bad(9)], 4)
    const { status, body } = await api.get('/batches/sums')
    expect(status).toBe(200)
    expect(batchSchema.parse(body)).toMatchObject({
      id: 'sums',
      state: 'in_progress',
      source: 'acme',
      chunks: { done: 2, expected: 4 },
      rows: { accepted: 148, rejected: 2, expected: null },
      bytes: 2000,
      progress: 0.5,
      peakMemoryBytes: 50_000_002,
      attempts: 3,
      workers: ['w0'],
      log: '/logs/w0.log',
      links: { self: '/batches/sums', errors: '/batches/sums/errors' },
    })
    const { phases, rowsPerSecond, startedAt, createdAt } = batchSchema.parse(body)
    expect(phases.queueSeconds).toBeCloseTo(1, 1)
    expect(phases.loadSeconds).toBeGreaterThan(0.9)
    expect(rowsPerSecond).toBeGreaterThan(10)
    expect(startedAt! < createdAt).toBe(true) // as this test has it
  })

  it('is pending before its first chunk', async () => {
    await open('announced')
    expect((await api.get('/batches/announced')).body).toMatchObject({ state: 'pending', progress: null })
  })

  it('shows why it failed', async () => {
    const error = { code: 'incomplete', message: '1 chunk never came', missingChunks: [3] }
    await open('failed', { state: 'failed', error })
    const { body } = await api.get('/batches/failed')
    expect(batchSchema.parse(body)).toMatchObject({ state: 'failed', error })
  })

  it('tells a dry run from the batch of the same id', async () => {
    await open('twice', { source: 'real' })
    await open('twice', { source: 'dry', dryRun: true })
    expect((await api.get('/batches/twice')).body).toMatchObject({ source: 'real', dryRun: false })
    expect((await api.get('/batches/twice?dryRun=true')).body).toMatchObject({ source: 'dry', dryRun: true })
  })

  it.each(['nobody', "o'clock", '%20', 'x'.repeat(129), 'a%2Fb', '%00'])('answers 404 for %s', async (id) => {
    const { status, body, type } = await api.get(`/batches/${id}`)
    expect({ status, type }).toEqual({ status: 404, type: expect.stringContaining('application/problem+json') })
    expect(body).toMatchObject({ status: 404, title: 'Not Found' })
    expect((await api.get(`/batches/${id}/errors`)).status).toBe(404)
  })
})

describe('GET /batches', () => {
  const list = async (query: string): Promise<{ ids: string[]; nextCursor: string | null }> => {
    const { status, body } = await api.get(`/batches?${query}`)
    expect(status).toBe(200)
    const { batches, nextCursor } = batchesSchema.parse(body)
    return { ids: batches.map(({ id }) => id), nextCursor }
  }

  it('lists the newest first, page by page', async () => {
    for (let i = 0; i < 5; i++) await open(`page-${i}`, { source: 'pages' })
    const first = await list('source=pages&limit=2')
    expect(first.ids).toEqual(['page-4', 'page-3'])
    await open('page-5', { source: 'pages' }) // does not move what follows
    const second = await list(`source=pages&limit=2&cursor=${first.nextCursor}`)
    expect(second.ids).toEqual(['page-2', 'page-1'])
    const third = await list(`source=pages&limit=2&cursor=${second.nextCursor}`)
    expect(third).toEqual({ ids: ['page-0'], nextCursor: null })
  })

  it('has no next page when the last one is full', async () => {
    expect(await list('source=pages&limit=6')).toMatchObject({ nextCursor: null })
  })

  it('filters by state, as shown', async () => {
    const started = await open('s-started', { source: 'states' })
    await store(started, 0, 1)
    await open('s-pending', { source: 'states' })
    await open('s-done', { source: 'states', state: 'succeeded' })
    await open('s-cancelled', { source: 'states', state: 'cancelled' })
    expect((await list('source=states&state=pending')).ids).toEqual(['s-pending'])
    expect((await list('source=states&state=in_progress')).ids).toEqual(['s-started'])
    expect((await list('source=states&state=succeeded,pending')).ids).toEqual(['s-done', 's-pending'])
  })

  it('filters by time and by dry run', async () => {
    await open('t-old', { source: 'times' })
    await open('t-dry', { source: 'times', dryRun: true })
    await api.pool.query(`update batches set created_at = '2020-01-01T00:00:00Z' where id = 't-old'`)
    expect((await list('source=times&until=2020-01-01T00:00:01Z')).ids).toEqual(['t-old'])
    expect((await list('source=times&until=2020-01-01T00:00:00Z')).ids).toEqual([])
    expect((await list(`source=times&since=${encodeURIComponent('2020-01-01T02:00:00+02:00')}`)).ids).toEqual([
      't-dry',
      't-old',
    ])
    expect((await list('source=times&since=2020-01-01T00:00:01Z')).ids).toEqual(['t-dry'])
    expect((await list('source=times&dryRun=false')).ids).toEqual(['t-old'])
    expect((await list('source=times&dryRun=true')).ids).toEqual(['t-dry'])
  })

  it.each([
    ['state=nope', 'state: is not a list of'],
    ['limit=0', 'limit: is not from 1 to 200'],
    ['limit=201', 'limit: is not from 1 to 200'],
    ['limit=x', 'limit: is not a whole number'],
    ['since=yesterday', 'since: is not a time'],
    ['cursor=%21', 'cursor: is not a cursor'],
    ['dryRun=maybe', 'dryRun'],
    [`source=${'x'.repeat(1001)}`, 'source is too long'],
  ])('refuses %s', async (query, detail) => {
    const { status, body } = await api.get(`/batches?${query}`)
    expect(status).toBe(400)
    expect((body as { detail: string }).detail).toContain(detail)
  })

  it('names every parameter that is wrong', async () => {
    const { body } = await api.get('/batches?limit=x&state=nope')
    expect(body).toMatchObject({ errors: [{ parameter: 'state' }, { parameter: 'limit' }] })
  })
})

describe('GET /batches/:id/errors', () => {
  it('numbers the rows through all chunks', async () => {
    const no = await open('rows')
    await store(no, 0, 100, [bad(0), bad(99)])
    await store(no, 1, 50)
    await store(no, 2, 10, [bad(5)])
    const { body } = await api.get('/batches/rows/errors')
    const { batch, rejected, errors } = rowErrorsSchema.parse(body)
    expect({ batch, rejected }).toEqual({ batch: 'rows', rejected: 3 })
    expect(errors.map(({ row, chunk, rowInChunk }) => [row, chunk, rowInChunk])).toEqual([
      [1, 0, 1],
      [100, 0, 100],
      [156, 2, 6],
    ])
    expect(errors[2]).toEqual({
      row: 156,
      chunk: 2,
      rowInChunk: 6,
      field: 'price',
      value: 'x',
      rule: 'not_a_whole_number',
      text: bad(0).text,
    })
  })

  it('leaves the number open where an earlier chunk never came', async () => {
    const no = await open('gap')
    await store(no, 0, 100, [bad(3)])
    await store(no, 2, 10, [bad(5)])
    const { errors } = rowErrorsSchema.parse((await api.get('/batches/gap/errors')).body)
    expect(errors.map(({ row, chunk, rowInChunk }) => [row, chunk, rowInChunk])).toEqual([
      [4, 0, 4],
      [null, 2, 6],
    ])
  })

  it('is empty for a batch without bad rows', async () => {
    await open('clean')
    expect((await api.get('/batches/clean/errors')).body).toEqual({ batch: 'clean', rejected: 0, errors: [] })
    expect((await api.get('/batches/clean/errors?format=csv')).body).toBe(
      'row,chunk,rowInChunk,field,value,rule,text\r\n',
    )
    expect((await api.get('/batches/clean/errors?format=ndjson')).body).toBe('')
  })

  it('knows no batch that is forgotten while its rows are read', async () => {
    const no = await open('forgotten')
    await store(no, 0, 100, [bad(3)])
    await store(no, 1, 10, [bad(5)])
    const found = await new BatchErrors(api.pool).find('forgotten', false)
    const rows = found!.rows[Symbol.asyncIterator]()
    expect((await rows.next()).value).toMatchObject({ chunk: 0 })
    await api.pool.query('delete from batch_chunks where batch_no = $1', [no])
    await expect(rows.next()).rejects.toMatchObject({ status: 404, message: 'There is no batch "forgotten".' })
  })

  it('has the first 1 000 as JSON, and all as CSV and NDJSON', async () => {
    const no = await open('many')
    for (let chunk = 0; chunk < 3; chunk++) {
      await store(
        no,
        chunk,
        700,
        Array.from({ length: 700 }, (_, row) => bad(row, `chunk ${chunk}, row ${row} \u2028 "é`)),
      )
    }
    const { rejected, errors } = rowErrorsSchema.parse((await api.get('/batches/many/errors')).body)
    expect([rejected, errors.length, errors.at(-1)!.row]).toEqual([2100, 1000, 1000])

    const ndjson = await api.get('/batches/many/errors', { accept: 'application/x-ndjson' })
    expect(ndjson.type).toBe('application/x-ndjson')
    const lines = (ndjson.body as string).split('\n')
    expect(lines.pop()).toBe('')
    expect(lines.map((line) => (JSON.parse(line) as { row: number }).row)).toEqual(
      Array.from({ length: 2100 }, (_, i) => i + 1),
    )

    const csv = await api.get('/batches/many/errors', { accept: 'text/csv, */*;q=0.1' })
    expect(csv.type).toContain('text/csv')
    const records = (csv.body as string).split('\r\n')
    expect(records).toHaveLength(2102)
    expect(records[2100]).toBe('2100,2,700,price,x,not_a_whole_number,"chunk 2, row 699 \u2028 ""é"')
    expect((await api.get('/batches/many/errors?format=json', { accept: 'text/csv' })).type).toContain(
      'application/json',
    )
  })

  it('breaks off, and does not end, where errors cannot be read', async () => {
    const no = await open('broken')
    await store(no, 0, 1, [bad(0)])
    await api.pool.query(`update batch_chunks set errors = '\\x00' where batch_no = $1`, [no])
    await expect(api.get('/batches/broken/errors?format=csv')).rejects.toThrow()
    expect((await api.get('/batches/broken/errors')).status).toBe(500)
  })
})

describe('without its database', () => {
  let refusing: Server
  let away: TestApp
  beforeAll(async () => {
    refusing = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
    await once(refusing, 'listening')
    const { port } = refusing.address() as AddressInfo
    away = await startTestApp({ DATABASE_URL: `postgres://nobody@127.0.0.1:${port}/none` })
  })
  afterAll(async () => {
    await away.close()
    refusing.close()
  })

  it.each([
    '/ports',
    '/batches',
    '/batches/x',
    '/batches/x/errors',
    '/rates?date_from=2021-01-01&date_to=2021-01-01&orig_code=A&dest_code=B',
  ])('answers 503 to %s and says when to try again', async (path) => {
    const answer = await fetch(away.url + path)
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1'])
    expect(await answer.json()).toMatchObject({ status: 503, detail: 'The database cannot be reached.' })
  })

  it('still greets', async () => expect((await fetch(away.url)).status).toBe(200))
})
