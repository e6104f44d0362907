import { once } from 'node:events'
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { csv, sha256Hex, testBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { startLine, type Line } from '@rates/testing/line'
import { undocumented } from '@rates/testing/metrics-docs'
import { sum } from '@rates/testing/metrics-text'
import { startWorkerProcess } from '@rates/testing/workers'
import { startTestApp, type TestApp } from './test-app.ts'
import { ChunkClient } from './test-chunks.ts'

const ROW = 'CNGGZ,NLRTM,2150-01-01,1\n'
const ID = 'refused'

let line: Line
let api: TestApp
let client: ChunkClient
beforeAll(async () => {
  line = await startLine()
  api = await startTestApp({ ...environment(), UPLOAD_IDLE_SECONDS: '0.5' })
  client = new ChunkClient(api.url)
  await client.open(ID)
})
afterAll(async () => {
  await api.close()
  await line.close()
})
const environment = (): Record<string, string> => ({
  DATABASE_URL: line.databaseUrl,
  KAFKA_BROKERS: line.brokers.join(','),
  KAFKA_PREFIX: line.prefix,
})

const records = async (): Promise<bigint> => {
  let count = 0n
  for (const lane of ['batches', 'bulk'] as const) {
    for (const { high } of await line.admin.progress(line.groups[lane], line.topics[lane])) count += high
  }
  return count
}
const outcomes = async (outcome: string): Promise<number> =>
  sum(await api.metrics(), 'rates_api_chunks_total', { outcome })
const going = async (of: TestApp): Promise<number> => sum(await of.metrics(), 'rates_api_chunks_in_progress')

/** A chunk whose pieces are sent by hand. */
function byHand(url: string, chunk: number, headers: object = {}) {
  const request: ClientRequest = httpRequest(`${url}/batches/${ID}/chunks/${chunk}`, {
    method: 'PUT',
    headers: { 'content-type': 'text/csv', ...headers },
  })
  const answer = (async () => {
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    let text = ''
    for await (const piece of response.setEncoding('utf8')) text += piece as string
    const retryAfter = response.headers['retry-after']
    return { status: response.statusCode, retryAfter, body: JSON.parse(text) as Record<string, unknown> }
  })()
  answer.catch(() => undefined)
  return { request, answer }
}

// First, for its client goes on trying for a while.
describe('without Kafka', () => {
  it('chunks are refused for now', async () => {
    const away = await startTestApp({ ...environment(), KAFKA_BROKERS: '127.0.0.1:1' })
    const answer = await new ChunkClient(away.url).put(ID, 0, ROW)
    expect(answer).toMatchObject({ status: 503, retryAfter: '5' })
    await away.close()
  })
})

describe('a chunk is refused, and nothing of it is sent,', () => {
  const many = Buffer.from(ROW.repeat(32_768))
  const gzip = { 'content-encoding': 'gzip' }
  it.each<[string, number, string, string | number, () => Uint8Array | string, object]>([
    ['too large', 413, 'more than 900000 bytes', 0, () => Buffer.alloc(900_001, ROW), {}],
    ['empty', 400, 'is empty', 0, () => '', {}],
    ['of another type', 415, 'text/csv or application/x-ndjson', 0, () => '{}', { 'content-type': 'application/json' }],
    ['of an unknown type', 415, '', 0, () => ROW, { 'content-type': 'multipart/form-data; boundary=x' }],
    ['encoded otherwise', 415, 'gzip, zstd', 0, () => ROW, { 'content-encoding': 'br' }],
    ['not gzip', 400, 'it begins with 43 4e 47 47', 0, () => ROW, gzip],
    ['half of gzip', 400, 'it ends in the middle', 0, () => gzipSync(many).subarray(0, 900), gzip],
    ['gzip unsaid', 400, 'no content-encoding: gzip', 0, () => gzipSync(ROW), {}],
    [
      'a bomb',
      400,
      'more than 4000000',
      0,
      () => zstdCompressSync(Buffer.alloc(7e6, ROW)),
      { 'content-encoding': 'zstd' },
    ],
    ['of too many rows', 400, '32768 rows; a chunk may have 32767', 0, () => many, {}],
    ['of too many rows, compressed', 400, '32768 rows', 0, () => gzipSync(many), gzip],
    ['no number', 400, 'chunk: "one" is not a whole number from 0 to 99999', 'one', () => ROW, {}],
    ['numbered too high', 400, 'chunk: "100000" is not a whole number', 100_000, () => ROW, {}],
    ['numbered above its total', 400, 'chunk: "3" is not less than chunks (3)', 3, () => ROW, { chunks: '3' }],
    ['of a bad total', 400, 'chunks: "100001" is not a whole number from 1 to', 0, () => ROW, { chunks: '100001' }],
    ['of a bad count', 400, 'rows: "-1" is not a whole number from 0 to 32767', 0, () => ROW, { rows: '-1' }],
    ['of a bad checksum', 400, 'sha256: "abc" is not 64 hexadecimal digits', 0, () => ROW, { sha256: 'abc' }],
    ['of bad progress', 400, 'progress: "0" is not more than 0 and 1 at most', 0, () => ROW, { progress: '0' }],
    ['of a bad dry run', 400, 'dry-run: "yes" is not one of true, false', 0, () => ROW, { 'dry-run': 'yes' }],
  ])('because it is %s (%i: %s)', async (_, status, detail, chunk, body, headers) => {
    const [before, refused] = [await records(), await outcomes('refused')]
    const answer = await client.put(ID, chunk, body(), headers)
    expect(answer).toMatchObject({ status, body: { status, detail: expect.stringContaining(detail) } })
    expect(await records()).toBe(before)
    // A type that no route takes is refused before any route.
    expect(await outcomes('refused')).toBe(refused + (detail === '' ? 0 : 1))
  })

  it.each([
    ['another sha256', { sha256: sha256Hex(Buffer.from('x')) }],
    ['another number of rows', { rows: '2' }],
  ])('because it has %s than was said', async (_, headers) => {
    const answer = await client.put(ID, 0, ROW, headers)
    expect(answer).toMatchObject({ status: 400, body: { code: 'damaged' } })
  })

  it('because it is too large, though its length was not told: when the first byte too many comes', async () => {
    const { request, answer } = byHand(api.url, 0)
    request.write(Buffer.alloc(900_001, ROW))
    expect(await answer).toMatchObject({ status: 413 })
    request.destroy()
  })

  it('because its connection breaks in the middle', async () => {
    const [before, refused] = [await records(), await outcomes('refused')]
    const { request } = byHand(api.url, 0, { 'content-length': '1000' })
    request.on('error', () => undefined)
    request.write(ROW)
    await eventually(async () => (await going(api)) === 1, { every: 5 })
    request.destroy()
    await eventually(async () => (await outcomes('refused')) === refused + 1)
    expect([await records(), await going(api)]).toEqual([before, 0])
  })

  it('because nothing comes for too long', async () => {
    const { request, answer } = byHand(api.url, 0, { 'content-length': '1000' })
    request.write(ROW)
    expect(await answer).toMatchObject({ status: 408, body: { detail: 'Nothing came for 0.5 seconds.' } })
    request.destroy()
  })

  it('because as many are going on as may', async () => {
    const one = await startTestApp({ ...environment(), CHUNKS_AT_ONCE: '1' })
    const { request, answer } = byHand(one.url, 7)
    request.write(ROW)
    await eventually(async () => (await going(one)) === 1, { every: 5 })
    const other = new ChunkClient(one.url)
    expect(await other.put(ID, 8, ROW)).toMatchObject({ status: 503, retryAfter: '1' })
    request.end()
    expect(await answer).toMatchObject({ status: 202 })
    expect(await other.put(ID, 8, ROW)).toMatchObject({ status: 202 })
    await one.close()
  })

  it('because as many wait as may, for their chunks, too', async () => {
    const one = await startTestApp({ ...environment(), WATCHERS_AT_ONCE: '1' })
    const waiting = (count: number): Promise<true> =>
      eventually(async () => sum(await one.metrics(), 'rates_watchers', { kind: 'wait' }) === count, { every: 5 })
    const other = new ChunkClient(one.url)
    const first = new AbortController()
    const url = `${one.url}/batches/${ID}/complete?chunks=50&wait=1m`
    const asked = fetch(url, { method: 'POST', signal: first.signal })
    asked.catch(() => undefined)
    await waiting(1)
    expect(await other.complete(ID, 50)).toMatchObject({ status: 503, retryAfter: '5' })
    const now = await other.complete(ID, 50, '&wait=0s') // it does not wait
    expect(now).toMatchObject({ status: 409, body: { code: 'chunks_missing' } })
    first.abort()
    await waiting(0)
    expect(await other.complete(ID, 50, '&wait=100ms')).toMatchObject({ status: 409, retryAfter: '1' })
    await waiting(0)
    await one.close()
  })

  it('because the service cannot wait any longer, and neither can who completes', async () => {
    const leaving = await startTestApp(environment())
    const { request, answer } = byHand(leaving.url, 9)
    request.write(ROW)
    await eventually(async () => (await going(leaving)) === 1, { every: 5 })
    const other = new ChunkClient(leaving.url)
    const asked = (): Promise<number> => line.pool.query(ASKED).then(({ rows }) => (rows[0] as { n: number }).n)
    const completing = other.complete(ID, 50, '&wait=1m')
    await eventually(async () => (await asked()) > 0, { every: 5, what: 'complete looking at the ledger' })
    leaving.stop()
    expect(await answer).toMatchObject({ status: 503, retryAfter: '2' })
    expect(await completing).toMatchObject({ status: 503, retryAfter: '2' })
    expect(await other.put(ID, 9, ROW)).toMatchObject({ status: 503, retryAfter: '2' })
    request.destroy()
    await leaving.close()
  })
})

/** Connections on which complete() has looked. */
const ASKED = `select count(*)::int as n from pg_stat_activity where datname = current_database() and query like '%from batches b cross join%' and query not like '%pg_stat_activity%'`

describe('the metrics of chunks', () => {
  it('know that what a caller wants to wait for is no latency', async () => {
    expect((await client.complete(ID, 50, '&wait=5s')).status).toBe(409)
    const labels = { http_route: '/batches/:id/complete' }
    // It is counted once it is answered.
    const took = await eventually(
      async () => sum(await api.metrics(), 'http_server_request_duration_seconds_sum', labels) || undefined,
    )
    expect(took).toBeLessThan(4)
  })

  it('count answers, and bytes as they come', async () => {
    await startWorkerProcess(line)
    const batch = testBatch(10)
    await client.open(batch.id)
    const read = async () => ({
      accepted: await outcomes('accepted'),
      repeated: await outcomes('repeated'),
      bytes: sum(await api.metrics(), 'rates_api_upload_bytes_total'),
    })
    const before = await read()
    const body = csv(batch.lines)
    await client.put(batch.id, 0, body, { chunks: '1' })
    await line.reply(batch.id)
    await client.put(batch.id, 0, body, { chunks: '1' })
    const { accepted, repeated, bytes } = before
    expect(await read()).toEqual({ accepted: accepted + 1, repeated: repeated + 1, bytes: bytes + 2 * body.length })
    expect(undocumented(await api.metrics(), ['API'])).toEqual([])
  })
})
