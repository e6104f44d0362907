import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { csv, ndjson, sha256Hex, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { expectInvariants } from '@rates/testing/invariants'
import { undocumented } from '@rates/testing/metrics-docs'
import { readMetrics, sum } from '@rates/testing/metrics-text'
import { objectBatchId } from '@rates/service/object-batch-id'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { named, startObjectLine, type ObjectLine } from './test-objects.ts'
import { startTestWorker, type TestWorker } from './test-worker.ts'

let line: ObjectLine
let worker: TestWorker

beforeAll(async () => {
  line = await startObjectLine()
  worker = await startTestWorker(line, line.settings)
}, 600_000)
afterAll(() => line?.close())

const scrape = () => readMetrics(`http://127.0.0.1:${worker.managementPort}/metrics`)

/** It failed with this code and message, got one reply, and nothing of it is there. */
async function expectFailed(batch: TestBatch, error: string, message: RegExp): Promise<void> {
  const reply = await line.reply(batch.id, 40_000)
  expect(reply).toMatchObject({ state: 'failed', error: { code: error, message: expect.stringMatching(message) } })
  await expectInvariants(line, [{ batch, state: 'failed', error }])
}

describe('an object', () => {
  it.each([
    ['by the type that the claim says', 'a', csv, 'application/x-ndjson', { contentType: 'text/csv' }],
    ['by its own type', 'b', ndjson, 'application/x-ndjson; charset=utf-8', {}],
    ['by the ending of its key', 'c.csv', csv, undefined, {}],
    ['gzip, by the ending of its key', 'd.jsonl.gz', (lines: string[]) => gzipSync(ndjson(lines)), undefined, {}],
    [
      'zstd, as the claim says',
      'e.csv',
      (lines: string[]) => zstdCompressSync(csv(lines)),
      'text/csv',
      { contentEncoding: 'zstd' },
    ],
  ])('becomes a batch, %s', async (_, key, write, contentType, claim) => {
    const batch = testBatch(3_000)
    const body = write(batch.lines)
    await line.put(key, body, contentType === undefined ? {} : { contentType })
    await line.claim({ key, sha256: sha256Hex(body), ...claim }, named(batch))
    expect(await line.reply(batch.id)).toMatchObject({ state: 'succeeded', rows: { accepted: 3_000, rejected: 0 } })
    await expectInvariants(line, [{ batch }])
    expect(await line.tagged(key, 'succeeded')).toEqual({ 'rates-state': 'succeeded', 'rates-batch': batch.id })
  })

  it('of many chunks goes by the bulk lane, and says how far it is', async () => {
    const batch = testBatch(200_000)
    const key = 'large.csv'
    await line.put(key, csv(batch.lines))
    await line.claim({ key }, { ...named(batch), source: 'acme', 'correlation-id': 'c-1' })
    expect(await line.reply(batch.id, 40_000)).toMatchObject({
      state: 'succeeded',
      source: 'acme',
      correlationId: 'c-1',
    })
    await expectInvariants(line, [{ batch }])
    const lanes = await line.pool.query<{ topic: string }>(
      'select distinct c.topic from batch_chunks c join batches b on b.no = c.batch_no where b.id = $1',
      [batch.id],
    )
    expect(lanes.rows).toEqual([{ topic: line.topics.bulk }])
  })

  it('that is asked for twice is one batch, with one distinct reply', async () => {
    const lines = testBatch(20_000)
    const key = 'twice.csv'
    const etag = await line.put(key, csv(lines.lines))
    const batch = { ...lines, id: objectBatchId({ bucket: line.bucket, key, etag }) }
    await line.claim({ key })
    await line.claim({ key, etag })
    await line.reply(batch.id)
    await line.claim({ key })
    await eventually(async () => (await line.replies(batch.id)).length > 1, { what: 'the reply coming again' })
    await expectInvariants(line, [{ batch }])
    const rows = await line.pool.query<{ n: number }>(`select count(*)::int as n from batches where id like 'object-%'`)
    expect(rows.rows).toEqual([{ n: 1 }])
  })

  it('with a bad row fails as any batch, and is tagged so', async () => {
    const batch = testBatch(2_000)
    batch.lines[7] = 'bad'
    await line.put('bad.csv', csv(batch.lines))
    await line.claim({ key: 'bad.csv' }, named(batch))
    await line.reply(batch.id)
    await expectInvariants(line, [{ batch, state: 'failed', error: 'rejected_rows' }])
    expect(await line.tagged('bad.csv', 'failed')).toMatchObject({ 'rates-batch': batch.id })
  })

  it('of a dry run is not tagged', async () => {
    const batch = testBatch(100)
    await line.put('dry.csv', csv(batch.lines))
    await line.claim({ key: 'dry.csv' }, { ...named(batch), 'dry-run': 'true' })
    expect(await line.reply(batch.id)).toMatchObject({ state: 'succeeded', dryRun: true })
    await eventually(async () => (await line.loads()).every(({ state }) => state === 'ended'), { within: 20_000 })
    expect(await line.tags('dry.csv')).toEqual({})
  })
})

describe('nothing becomes of an object', () => {
  it.each<[string, string, (body: Buffer) => Uint8Array, Record<string, unknown>, string, RegExp]>([
    [
      'whose gzip is cut off',
      'x1.csv.gz',
      (body) => gzipSync(body).subarray(0, -9),
      {},
      'object_unreadable',
      /it ends in the middle \(at its end, behind byte \d+ of \d+\)/,
    ],
    [
      'with bytes behind the end of its gzip',
      'x2.csv.gz',
      (body) => Buffer.concat([gzipSync(body), Buffer.from('more')]),
      {},
      'object_unreadable',
      /something in it, or after its end, is no gzip \(.*of \d+\)/,
    ],
    [
      'with other bytes than its digest says',
      'x3.csv',
      (body) => body,
      { sha256: '0'.repeat(64) },
      'object_mismatch',
      /sha256/,
    ],
    ['of no known format', 'x4.bin', (body) => body, {}, 'object_unreadable', /set the content type to text\/csv/],
    [
      'that is compressed and does not say so',
      'x5.csv',
      (body) => gzipSync(body),
      {},
      'object_unreadable',
      /the body is gzip, and there is no content-encoding/,
    ],
    ['without a byte', 'x6.csv', () => Buffer.alloc(0), {}, 'object_unreadable', /there are no rows in it/],
    [
      'with a header line alone',
      'x7.csv',
      () => Buffer.from('orig_code,dest_code,day,price\n'),
      {},
      'object_unreadable',
      /there are no rows in it/,
    ],
    [
      'with a quote left open',
      'x8.csv',
      () => Buffer.from(`"${'a'.repeat(70_000)}`),
      {},
      'object_unreadable',
      /row 1 is longer/,
    ],
    [
      'that is another one than was asked for',
      'x9.csv',
      (body) => body,
      { etag: 'abc' },
      'object_changed',
      /its ETag is .* now/,
    ],
  ])('%s', async (_, key, write, claim, error, message) => {
    const batch = testBatch(150_000)
    await line.put(key, write(csv(batch.lines)))
    await line.claim({ key, ...claim }, named(batch))
    await expectFailed(batch, error, message)
  })

  it('that is not there', async () => {
    const batch = testBatch(10)
    await line.claim({ key: 'nowhere.csv' }, named(batch))
    await expectFailed(batch, 'object_not_found', /there is no s3:\/\/.*nowhere\.csv/)
  })

  it('that comes a moment after its claim: it is waited for', async () => {
    const batch = testBatch(10)
    await line.claim({ key: 'soon.csv' }, named(batch))
    await eventually(async () => (await line.loads()).at(-1)!.waits > 0, { what: 'it being put off' })
    await line.put('soon.csv', csv(batch.lines))
    await line.reply(batch.id)
    await expectInvariants(line, [{ batch }])
  })
})

describe('the metrics of a worker that loads objects', () => {
  it('tell of all of it, and are documented', async () => {
    const samples = await eventually(
      async () => {
        const found = await scrape()
        return found.some(({ name }) => name === 'rates_object_loads_waiting') && found
      },
      { within: 20_000 },
    )
    expect(sum(samples, 'rates_object_loads_total', { outcome: 'succeeded' })).toBeGreaterThan(5)
    expect(sum(samples, 'rates_object_tags_total', { outcome: 'set' })).toBeGreaterThan(5)
    expect(sum(samples, 'rates_object_bytes_total')).toBeGreaterThan(5_000_000)
    expect(sum(samples, 'rates_object_load_retries_total', { reason: 'not_found' })).toBeGreaterThan(0)
    const faults = undocumented(samples, ['Files of an object store'])
    expect(faults.filter((fault) => fault.includes('rates_object'))).toEqual([])
  })
})
