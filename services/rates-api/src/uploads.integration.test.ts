import { once } from 'node:events'
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { csv, ndjson, testBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { factsOf, succeeded, visible } from '@rates/testing/facts'
import { startLine, type Line } from '@rates/testing/line'
import { undocumented } from '@rates/testing/metrics-docs'
import { sum } from '@rates/testing/metrics-text'
import { startWorkerProcess } from '@rates/testing/workers'
import { acceptedSchema, batchSchema, rowErrorsSchema } from './schemas.ts'
import { startTestApp, type TestApp } from './test-app.ts'

let line: Line
let api: TestApp
beforeAll(async () => {
  line = await startLine()
  await startWorkerProcess(line)
  api = await startTestApp({
    ...apiEnvironment(),
    UPLOAD_IDLE_SECONDS: '0.5',
    UPLOAD_MAX_BYTES: '50000000',
  })
})
afterAll(async () => {
  await api.close()
  await line.close()
})
const apiEnvironment = (): Record<string, string> => ({
  DATABASE_URL: line.databaseUrl,
  KAFKA_BROKERS: line.brokers.join(','),
  KAFKA_PREFIX: line.prefix,
})

interface Answer {
  status: number
  location: string | null
  retryAfter: string | null
  body: unknown
}
async function post(body: Uint8Array | string, headers: Record<string, string> = {}, query = ''): Promise<Answer> {
  const sent = { 'content-type': 'text/csv', ...headers }
  const answer = await fetch(`${api.url}/batches${query}`, { method: 'POST', body: body as string, headers: sent })
  const { headers: got } = answer
  return {
    status: answer.status,
    location: got.get('location'),
    retryAfter: got.get('retry-after'),
    body: await answer.json(),
  }
}
const idOf = ({ body }: Answer): string => acceptedSchema.parse(body).id

/** Waits for a batch's outcome. */
const outcome = (id: string): Promise<ReturnType<typeof batchSchema.parse>> =>
  eventually(
    async () => {
      const { status, body } = await api.get(`/batches/${id}`)
      const batch = status === 200 ? batchSchema.parse(body) : undefined
      return batch?.finishedAt ? batch : undefined
    },
    { within: 60_000, what: `the outcome of ${id}` },
  )
const openBatches = async (): Promise<number> =>
  (await line.pool.query<{ n: number }>('select count(*)::int as n from batches')).rows[0]!.n
const keys = async (): Promise<string[]> =>
  (await line.pool.query<{ k: string }>('select idempotency_key as k from uploads')).rows.map(({ k }) => k)

/** An upload whose pieces are sent by hand. */
function byHand(id: string, headers: Record<string, string> = {}): { request: ClientRequest; answer: Promise<Answer> } {
  const request = httpRequest(`${api.url}/batches`, {
    method: 'POST',
    headers: { 'content-type': 'text/csv', 'batch-id': id, ...headers },
  })
  const answer = (async (): Promise<Answer> => {
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    let text = ''
    for await (const piece of response.setEncoding('utf8')) text += piece as string
    const header = (name: string): string | null => (response.headers[name] as string | undefined) ?? null
    return {
      status: response.statusCode!,
      location: header('location'),
      retryAfter: header('retry-after'),
      body: JSON.parse(text),
    }
  })()
  answer.catch(() => undefined)
  return { request, answer }
}
const opened = (id: string): Promise<unknown> =>
  eventually(
    async () =>
      (await line.pool.query(`select from batches where id = $1 and state = 'open'`, [id])).rows[0] as unknown,
    { what: `${id} being opened` },
  )

// First, for its client goes on trying for a while.
describe('without Kafka', () => {
  it('uploads are refused for now, and reads go on', async () => {
    const away = await startTestApp({ ...apiEnvironment(), KAFKA_BROKERS: '127.0.0.1:1' })
    const before = await openBatches()
    const answer = await fetch(`${away.url}/batches`, {
      method: 'POST',
      headers: { 'content-type': 'text/csv' },
      body: csv(testBatch(1).lines),
    })
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await answer.json()).toMatchObject({
      detail: 'Kafka cannot be reached: no upload can be taken, reads go on.',
    })
    expect(await openBatches()).toBe(before)
    expect((await away.get('/ports')).status).toBe(200)
    await away.close()
  })
})

describe('POST /batches', () => {
  it('takes CSV: all of it is visible, and its sender is told', async () => {
    const batch = testBatch(1000)
    const answer = await post(csv(batch.lines), {
      'batch-id': batch.id,
      source: 'acme',
      'correlation-id': 'c-1',
      deadline: '2099-01-01T00:00:00Z',
    })
    expect(answer).toEqual({
      status: 202,
      location: `/batches/${batch.id}`,
      retryAfter: '1',
      body: {
        id: batch.id,
        dryRun: false,
        rows: 1000,
        links: { self: `/batches/${batch.id}`, errors: `/batches/${batch.id}/errors` },
      },
    })
    expect(await outcome(batch.id)).toMatchObject({
      state: 'succeeded',
      source: 'acme',
      correlationId: 'c-1',
      rows: { accepted: 1000 },
    })
    expect(await line.reply(batch.id)).toMatchObject({ state: 'succeeded', correlationId: 'c-1' })
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })

  it('gives a batch an id, a UUID of version 7', async () => {
    const answer = await post(csv(testBatch(1).lines))
    expect(idOf(answer)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/)
    expect(answer.location).toBe(`/batches/${idOf(answer)}`)
  })

  it.each([
    ['NDJSON', 'application/x-ndjson', ndjson, {}],
    [
      'NDJSON with gzip',
      'application/x-ndjson; charset=utf-8',
      (lines: string[]) => gzipSync(ndjson(lines)),
      { 'content-encoding': 'gzip' },
    ],
    ['CSV with zstd', 'text/csv', (lines: string[]) => zstdCompressSync(csv(lines)), { 'content-encoding': 'zstd' }],
    [
      'CSV with a header line and CRLF',
      'text/csv',
      (lines: string[]) => ['orig_code,dest_code,day,price', ...lines, ''].join('\r\n'),
      {},
    ],
  ] as const)('takes %s', async (_, type, encode, headers) => {
    const batch = testBatch(2000)
    expect(await post(encode(batch.lines), { 'content-type': type, ...headers }, `?id=${batch.id}`)).toMatchObject({
      status: 202,
      body: { rows: 2000 },
    })
    await outcome(batch.id)
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })

  it('takes a batch of many chunks', async () => {
    const batch = testBatch(200_000)
    expect(await post(csv(batch.lines), { 'batch-id': batch.id })).toMatchObject({
      status: 202,
      body: { rows: 200_000 },
    })
    expect(await outcome(batch.id)).toMatchObject({ chunks: { done: 7, expected: 7 } })
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })

  it('opens the batch before all of it is there', async () => {
    const id = 'by-hand'
    const { request, answer } = byHand(id)
    request.write('CNGGZ,NLRTM,2150-01-01,1\n')
    await opened(id)
    expect((await api.get(`/batches/${id}`)).body).toMatchObject({ id, state: 'pending' })
    request.end()
    expect(idOf(await answer)).toBe(id)
    expect(await outcome(id)).toMatchObject({ state: 'succeeded' })
  })

  it('lists the bad rows of a batch that fails', async () => {
    const answer = await post('CNGGZ,NLRTM,2150-01-01,1\nCNGGZ,XXXXX,2150-01-01,1\n')
    expect(answer.status).toBe(202)
    expect(await outcome(idOf(answer))).toMatchObject({
      state: 'failed',
      error: { code: 'rejected_rows', rules: { unknown_port: 1 } },
    })
    const { errors } = rowErrorsSchema.parse((await api.get(`/batches/${idOf(answer)}/errors`)).body)
    expect(errors).toEqual([
      {
        row: 2,
        chunk: 0,
        rowInChunk: 2,
        field: 'dest_code',
        value: 'XXXXX',
        rule: 'unknown_port',
        text: 'CNGGZ,XXXXX,2150-01-01,1',
      },
    ])
  })

  it.each(['query', 'header'])('checks a dry run (%s), writes its record alone, leaves its id free', async (where) => {
    const [headers, query] = where === 'query' ? [{}, '&dryRun=true'] : [{ 'dry-run': 'true' }, '']
    const batch = testBatch(10)
    const { status, location } = await post(csv(batch.lines), headers, `?id=${batch.id}${query}`)
    expect([status, location]).toEqual([202, `/batches/${batch.id}?dryRun=true`])
    await eventually(async () => (await factsOf(line, batch, true)).state === 'succeeded')
    const packs = 'select from price_packs p join batches b on b.no = p.batch_no where b.id = $1'
    expect((await line.pool.query(packs, [batch.id])).rowCount).toBe(0)
    expect((await api.get(`/batches/${batch.id}`)).status).toBe(404)
    expect((await post(csv(batch.lines), {}, `?id=${batch.id}`)).status).toBe(202)
    await eventually(async () => (await visible(line, batch)) === 'all')
  })
})

describe('an Idempotency-Key', () => {
  it('stands for its content, in any order and format', async () => {
    const batch = testBatch(500)
    const key = { 'idempotency-key': 'same' }
    const first = await post(csv(batch.lines), key)
    expect(first.status).toBe(202)
    const id = idOf(first)
    await outcome(id)
    const before = await openBatches()
    const again = await post(ndjson([...batch.lines].reverse()), {
      ...key,
      'content-type': 'application/x-ndjson',
      'batch-id': 'ignored',
    })
    expect(again).toMatchObject({ status: 200, location: `/batches/${id}`, retryAfter: null, body: { id, rows: 500 } })
    const other = await post(csv(batch.lines.slice(1)), key)
    expect(other).toMatchObject({ status: 409, body: { status: 409, batch: `/batches/${id}` } })
    expect(await openBatches()).toBe(before)
  })

  it('is refused while its upload goes on, and free again when that broke', async () => {
    const batch = testBatch(100)
    const key = { 'idempotency-key': 'broken' }
    const broken = 'broken'
    const { request, answer } = byHand(broken, key)
    request.write(csv(batch.lines.slice(0, 50)))
    await opened(broken)
    const meanwhile = await post(csv(batch.lines), key)
    expect(meanwhile).toMatchObject({ status: 409, body: { detail: expect.stringContaining('still going on') } })
    request.destroy()
    await expect(answer).rejects.toThrow()
    expect(await outcome(broken)).toMatchObject({ state: 'cancelled', error: { code: 'upload_broken' } })
    expect(await line.reply(broken)).toMatchObject({ state: 'cancelled', error: { code: 'upload_broken' } })
    await eventually(async () => !(await keys()).includes('broken'))
    const retried = await post(csv(batch.lines), { ...key, 'batch-id': batch.id })
    expect(retried.status).toBe(202)
    await outcome(batch.id)
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })

  it('is free again when the process died and its batch failed for that', async () => {
    const { rows } = await line.pool.query<{ no: bigint }>(
      `insert into batches (id, state, finished_at, error) values ('died', 'failed', now(), '{"code":"incomplete","message":""}') returning no`,
    )
    await line.pool.query(`insert into uploads (idempotency_key, batch_no) values ('died', $1)`, [rows[0]!.no])
    expect((await post(csv(testBatch(1).lines), { 'idempotency-key': 'died' })).status).toBe(202)
  })

  it('finds its batch where the process died after the last chunk', async () => {
    const batch = testBatch(20)
    await post(csv(batch.lines), { 'idempotency-key': 'unsettled', 'batch-id': batch.id })
    await outcome(batch.id)
    await line.pool.query(`update uploads set digest = null, rows = null where idempotency_key = 'unsettled'`)
    expect(await post(csv(batch.lines), { 'idempotency-key': 'unsettled' })).toMatchObject({
      status: 200,
      body: { id: batch.id },
    })
    expect((await post(csv(batch.lines.slice(1)), { 'idempotency-key': 'unsettled' })).status).toBe(409)
  })

  it('goes to one of two who come at once', async () => {
    const batch = testBatch(1000)
    const answers = await Promise.all([1, 2].map(() => post(csv(batch.lines), { 'idempotency-key': 'race' })))
    const statuses = answers.map(({ status }) => status).sort()
    expect([
      [202, 202],
      [200, 202],
      [202, 409],
    ]).toContainEqual(statuses)
    const { rows } = await line.pool.query(
      `select 1 from batches b join uploads u on u.batch_no = b.no where idempotency_key = 'race'`,
    )
    expect(rows).toHaveLength(1)
    const taken = answers.filter(({ status }) => status !== 409).map(idOf)
    expect(new Set(taken).size).toBe(1)
  })
})

describe('an upload that breaks', () => {
  it('is cancelled after a silence', async () => {
    const id = 'silent'
    const { request, answer } = byHand(id)
    request.write('CNGGZ,NLRTM,2150-01-01,1\n')
    await opened(id)
    expect(await answer).toMatchObject({ status: 408, body: { detail: 'Nothing came for 0.5 seconds.' } })
    request.destroy()
    expect(await outcome(id)).toMatchObject({
      state: 'cancelled',
      error: { code: 'upload_broken', message: 'Nothing came for 0.5 seconds.' },
    })
  })

  it('is cancelled when the service cannot wait for it any longer', async () => {
    const other = await startTestApp(apiEnvironment())
    const id = 'stopped'
    const headers = { 'content-type': 'text/csv', 'batch-id': id }
    const request = httpRequest(`${other.url}/batches`, { method: 'POST', headers })
    request.write('CNGGZ,NLRTM,2150-01-01,1\n')
    await opened(id)
    other.stop()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    expect([response.statusCode, response.headers['retry-after']]).toEqual([503, '2'])
    expect(await outcome(id)).toMatchObject({ state: 'cancelled', error: { code: 'upload_broken' } })
    response.resume()
    request.destroy()
    const refused = await fetch(`${other.url}/batches`, {
      method: 'POST',
      headers: { 'content-type': 'text/csv' },
      body: 'x',
    })
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '2'])
    await other.close()
  })

  it.each([
    ['too large, as it says', 413, () => Buffer.alloc(50_000_001), {}],
    [
      'too large once decompressed',
      413,
      () => gzipSync(Buffer.alloc(50_000_001, 'CNGGZ,NLRTM,2150-01-01,1\n'), { level: 1 }),
      { 'content-encoding': 'gzip' },
    ],
    [
      'a bomb',
      413,
      () => zstdCompressSync(Buffer.alloc(49_000_000, 'CNGGZ,NLRTM,2150-01-01,1\n')),
      { 'content-encoding': 'zstd' },
    ],
    ['not gzip', 400, () => Buffer.from('CNGGZ,NLRTM,2150-01-01,1\n'), { 'content-encoding': 'gzip' }],
    ['not zstd', 400, () => Buffer.from('CNGGZ,NLRTM,2150-01-01,1\n'), { 'content-encoding': 'zstd' }],
    [
      'half of a gzip file',
      400,
      () => gzipSync(csv(testBatch(1000).lines)).subarray(0, 2000),
      { 'content-encoding': 'gzip' },
    ],
    ['empty', 400, () => '', {}],
    ['a header line alone', 400, () => 'orig_code,dest_code,day,price\n', {}],
    ['a quote that is left open', 400, () => `CNGGZ,NLRTM,2150-01-01,1\n"${'x'.repeat(70_000)}`, {}],
    ['another type', 415, () => '{}', { 'content-type': 'application/json' }],
    ['a form', 415, () => 'x', { 'content-type': 'multipart/form-data; boundary=x' }],
    ['another encoding', 415, () => 'x', { 'content-encoding': 'br' }],
    ['two encodings', 415, () => gzipSync(gzipSync('x')), { 'content-encoding': 'gzip, gzip' }],
    ['gzip without saying so', 400, () => gzipSync(csv(testBatch(1).lines)), {}],
    ['with a bad id', 400, () => 'x', { 'batch-id': 'a b' }],
    ['with a bad deadline', 400, () => 'x', { deadline: 'tomorrow' }],
    ['with a bad on-deadline', 400, () => 'x', { 'on-deadline': 'maybe' }],
    ['with a reply topic that is not allowed', 400, () => 'x', { 'reply-to': 'elsewhere' }],
    ['with a long key', 400, () => 'x', { 'idempotency-key': 'x'.repeat(256) }],
  ])('because it is %s gets %i, and leaves nothing open', async (_, status, body, headers) => {
    const key = { 'idempotency-key': 'never' }
    const answer = await post(body(), { ...key, ...headers })
    expect(answer).toMatchObject({ status, body: { status, detail: expect.any(String) } })
    const { rows } = await line.pool.query(`select id, state from batches where state = 'open'`)
    expect(rows).toEqual([])
    expect(await keys()).not.toContain('never')
  })

  it.each(['correlationId', 'source', 'id', 'replaces', 'replyTo', 'deadline'])(
    'is none with a NUL in %s, which PostgreSQL would not keep',
    async (name) => {
      const before = await openBatches()
      expect((await post(csv(testBatch(1).lines), {}, `?${name}=a%00b`)).status).toBe(400)
      expect(await openBatches()).toBe(before)
    },
  )

  it('goes no further than the batch that has its id', async () => {
    const batch = testBatch(10)
    await post(csv(batch.lines), { 'batch-id': batch.id })
    await outcome(batch.id)
    const again = await post(csv(batch.lines.slice(1)), { 'batch-id': batch.id })
    expect(again).toMatchObject({ status: 409, body: { batch: `/batches/${batch.id}` } })
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })
})

describe('the metrics of uploads', () => {
  it('count answers, and bytes as they come', async () => {
    const read = async () => {
      const samples = await api.metrics()
      const of = (outcome: string): number => sum(samples, 'rates_api_uploads_total', { outcome })
      const [accepted, repeated, refused] = [of('accepted'), of('repeated'), of('refused')]
      return { accepted, repeated, refused, bytes: sum(samples, 'rates_api_upload_bytes_total') }
    }
    const before = await read()
    const body = csv(testBatch(10).lines)
    const key = { 'idempotency-key': 'counted' }
    await outcome(idOf(await post(body, key)))
    await post(body, key)
    await post('x', { 'content-type': 'application/json' })
    const { accepted, repeated, refused, bytes } = before
    expect(await read()).toEqual({
      accepted: accepted + 1,
      repeated: repeated + 1,
      refused: refused + 1,
      bytes: bytes + 2 * body.length,
    })
    expect(sum(await api.metrics(), 'rates_api_uploads_in_progress')).toBe(0)
    expect(undocumented(await api.metrics(), ['API'])).toEqual([])
  })
})
