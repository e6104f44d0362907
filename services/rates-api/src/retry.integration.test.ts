import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { chunkRecords, csv, digestOf, importTestPorts, ndjson, prices, testBatch } from '@rates/testing/batches'
import { type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { factsOf, succeeded, visible } from '@rates/testing/facts'
import { startApiProcess } from '@rates/testing/workers'
import { startRetryTest, type RetryTest } from './test-retry.ts'

let test: RetryTest
beforeAll(async () => {
  test = await startRetryTest({ CHUNK_TIMEOUT_SECONDS: '5' })
})
afterAll(() => test.close())

/** All of the batch is visible, by its run under the id, and its sender was told so. */
async function expectSucceeded(id: string, batch: TestBatch): Promise<void> {
  const run = { ...batch, id }
  await test.outcome(id)
  await test.line.reply(id)
  expect(await factsOf(test.line, run)).toEqual(succeeded(run))
}

describe('POST /batches/:id/retry', () => {
  it('sends a batch again that failed for a port: once the port is there, all of it is visible', async () => {
    const old = testBatch(5)
    await test.send(old, { source: 'acme' })
    await test.outcome(old.id)
    const said = { source: 'acme', correlationId: 'c-1', replyTo: test.line.topics.replies, replaces: old.id }
    const { batch, addPort } = await test.failed(said)
    await addPort()
    const id = `${batch.id}.retry-1`
    const self = `/batches/${id}`
    expect(await test.post(`/batches/${batch.id}/retry`)).toEqual({
      status: 202,
      location: self,
      retryAfter: '1',
      body: { id, retryOf: batch.id, links: { self, errors: `${self}/errors` } },
    })
    await expectSucceeded(id, batch)
    expect(await test.outcome(id)).toMatchObject({
      retryOf: batch.id,
      ...{ source: 'acme', correlationId: 'c-1', replaces: old.id, deadline: null },
      chunks: { done: 3, expected: 3 },
    })
    expect(await test.outcome(old.id)).toMatchObject({ state: 'replaced', replacedBy: id })
    expect(await test.line.reply(id)).toMatchObject({ correlationId: 'c-1' })
  })

  it('does so as often as is needed', async () => {
    const { batch, addPort } = await test.failed()
    const second = await test.retry(batch.id)
    expect(await test.outcome(second)).toMatchObject({ state: 'failed', error: { code: 'rejected_rows' } })
    await addPort()
    const third = await test.retry(batch.id)
    expect([second, third]).toEqual([`${batch.id}.retry-1`, `${batch.id}.retry-2`])
    await expectSucceeded(third, batch)
    expect(await visible(test.line, batch)).toBe('all')
  })

  it('brings back what was reverted, and that once more', async () => {
    const batch = testBatch(40)
    await test.send(batch)
    await test.outcome(batch.id)
    for (const id of [batch.id, `${batch.id}.retry-1`, `${batch.id}.retry-1.retry-1`]) {
      await expectSucceeded(id, batch)
      expect((await test.post(`/batches/${id}/revert`)).status).toBe(200)
      expect(await visible(test.line, batch)).toBe('nothing')
      await test.retry(id)
    }
  })

  it('takes the id, the deadline and the trace of the caller', async () => {
    const { batch } = await test.failed({ deadline: '2099-01-01T00:00:00Z', onDeadline: 'flag' })
    const trace = '0af7651916cd43dd8448eb211c80319c'
    const headers = { traceparent: `00-${trace}-b7ad6b7169203331-01` }
    const id = await test.retry(batch.id, `?id=mine-${batch.id}&deadline=2098-01-01T00:00:00Z`, headers)
    expect(await test.outcome(id)).toMatchObject({
      id: `mine-${batch.id}`,
      retryOf: batch.id,
      deadline: '2098-01-01T00:00:00.000Z',
      traceId: trace,
    })
    const { rows } = await test.line.pool.query(`select on_deadline from batches where id = $1`, [id])
    expect(rows).toEqual([{ on_deadline: 'flag' }])
    // Its own deadline is over as a rule: without another there is none.
    expect(await test.outcome(await test.retry(batch.id))).toMatchObject({ deadline: null, traceId: null })
  })

  it('gives a UUID where the id would be too long', async () => {
    const batch = testBatch(3, { id: `long-${'x'.repeat(118)}` })
    await test.send(batch, {}, 1)
    await test.outcome(batch.id)
    await test.post(`/batches/${batch.id}/revert`)
    const id = await test.retry(batch.id)
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/)
    await expectSucceeded(id, batch)
  })

  it('sends a large batch by the bulk lane, as it was sent', async () => {
    const { line, api } = test
    const { lines, ...rest } = testBatch(180_000)
    lines[179_999] = `ZZBBB${lines[179_999]!.slice(5)}`
    const batch = { ...rest, lines, digest: digestOf(lines) }
    const headers = { 'content-type': 'text/csv', 'batch-id': batch.id }
    await fetch(`${api.url}/batches`, { method: 'POST', headers, body: csv(lines).toString() })
    expect(await test.outcome(batch.id)).toMatchObject({ state: 'failed', chunks: { done: 6, expected: 6 } })
    await importTestPorts(line.databaseUrl, ['ZZBBB'])
    const id = await test.retry(batch.id)
    await expectSucceeded(id, batch)
    const stored = async (of: string): Promise<object[]> =>
      (
        await line.pool.query<object>(
          `select chunk, c.topic, rows, bytes, sha256 from batch_chunks c join batches on no = batch_no
           where id = $1 order by chunk`,
          [of],
        )
      ).rows
    expect(await stored(id)).toEqual(await stored(batch.id))
    expect(await stored(id)).toMatchObject(Array(6).fill({ topic: line.topics.bulk }))
    // Each tells how many there are, which the uploader had not known.
    const telling = `select count(*)::int as n from batch_chunks join batches on no = batch_no where id = $1 and total = 6`
    const [before, after] = await Promise.all([batch.id, id].map((each) => line.pool.query(telling, [each])))
    expect([before!.rows, after!.rows]).toEqual([[{ n: 1 }], [{ n: 6 }]])
  })

  it.each([
    ['JSON', {}, (lines: string[]) => Buffer.from(JSON.stringify({ prices: prices(lines) }))],
    ['CSV, compressed', { 'content-encoding': 'gzip' }, (lines: string[]) => gzipSync(csv(lines))],
    ['NDJSON', { 'content-type': 'application/x-ndjson', rows: '20' }, ndjson],
  ] as const)('sends a record again that is a whole batch of %s', async (_, headers, encode) => {
    const { line } = test
    const batch = testBatch(20)
    const before = await test.ids()
    await line.send([{ topic: line.topics.batches, headers, value: encode(batch.lines) }])
    const named = await eventually(async () => (await test.ids()).find((id) => !before.includes(id)))
    expect(named).toMatch(/^test-.*rates\.batches-\d+-\d+-\d+$/)
    await test.outcome(named)
    await test.post(`/batches/${named}/revert`)
    await expectSucceeded(await test.retry(named), batch)
  })

  it('finds the chunks that came when the batch had ended already', async () => {
    const { line } = test
    const batch = testBatch(60)
    const records = await chunkRecords(line.topics.bulk, { batchId: batch.id }, batch.lines, {
      chunks: 6,
      total: 'last',
    })
    const between = await chunkRecords(line.topics.bulk, { batchId: 'x' }, testBatch(30).lines, { chunks: 3 })
    await line.send(records.slice(0, 2))
    await test.until(batch.id, ({ chunks }) => chunks.done === 2)
    await test.post(`/batches/${batch.id}/cancel`)
    // Somebody else's, one that contradicts the batch, damaged ones on each partition; then what was on its way.
    const [other] = await chunkRecords(line.topics.bulk, { batchId: batch.id, source: 'o' }, ['x'], { chunks: 1 })
    const damaged = records.slice(2).map((record) => ({ ...record, value: csv(['AAAAA,BBBBB,2020-01-01,1']) }))
    await line.send([...between, other!, ...damaged])
    await line.send(records.slice(2))
    await test.outcome('x')
    const id = await test.retry(batch.id)
    expect(await test.outcome(id)).toMatchObject({ chunks: { done: 6, expected: 6 } })
    await expectSucceeded(id, batch)
  })

  it('finds the record that had ended its workers', async () => {
    const { pool } = test.line
    const { batch, addPort } = await test.failed()
    // As a record is set aside that is poison: it is not stored.
    await pool.query(`update batches set error = '{"code":"internal_error","message":""}' where id = $1`, [batch.id])
    const stored = 'delete from batch_chunks where chunk = 1 and batch_no = (select no from batches where id = $1)'
    await pool.query(stored, [batch.id])
    await addPort()
    await expectSucceeded(await test.retry(batch.id), batch)
  })
})

describe('what happens in the middle of it', () => {
  it('leaves a batch that fails as incomplete, where the process dies', async () => {
    const { batch, addPort } = await test.failed()
    await addPort()
    const dying = await startApiProcess(test.line, { FAILPOINTS: 'sent-chunk@2' })
    await expect(test.post(`/batches/${batch.id}/retry`, {}, dying.url)).rejects.toThrow()
    expect(await dying.exited).toEqual({ code: null, signal: 'SIGKILL' })
    const id = `${batch.id}.retry-1`
    expect(await visible(test.line, batch)).toBe('nothing')
    expect(await test.refused(batch.id)).toMatchObject({ status: 409, code: 'running', batch: `/batches/${id}` })
    expect(await test.outcome(id)).toMatchObject({
      state: 'failed',
      error: { code: 'incomplete', missingChunks: [2] },
      chunks: { done: 2, expected: 3 },
    })
    expect(await visible(test.line, batch)).toBe('nothing')
    await expectSucceeded(await test.retry(batch.id), batch)
  })

  it('cancels the batch, where the service cannot wait any longer', async () => {
    const batch = testBatch(3)
    await test.send(batch, {}, 1)
    await test.outcome(batch.id)
    await test.post(`/batches/${batch.id}/revert`)
    // It waits to open the batch until the service was told to stop.
    const client = await test.line.pool.connect()
    await client.query('begin; lock table hidden_batches in share row exclusive mode')
    const answer = test.post(`/batches/${batch.id}/retry`)
    const waits = `select from pg_stat_activity where wait_event_type = 'Lock' and query like '%into hidden_batches%'
      and datname = current_database()`
    try {
      await eventually(async () => (await test.line.pool.query(waits)).rowCount === 1, {
        what: 'the batch to be opened',
      })
      test.api.stop()
    } finally {
      await client.query('commit')
      client.release()
    }
    expect(await answer).toMatchObject({ status: 503, retryAfter: '2' })
    expect(await test.outcome(`${batch.id}.retry-1`)).toMatchObject({
      state: 'cancelled',
      error: { code: 'retry_broken', message: 'The service is stopping.' },
      chunks: { done: 0 },
    })
    expect(await test.post(`/batches/${batch.id}/retry`)).toMatchObject({ status: 503, retryAfter: '2' })
  })
})
