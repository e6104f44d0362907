import { createHmac } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { cancelBatch } from '@rates/service/produce-batch'
import { chunkRecords, csv, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { settled } from '@rates/testing/facts'
import { startFaultProxy, type FaultProxy } from '@rates/testing/fault-proxy'
import { startLine, type Line } from '@rates/testing/line'
import { readMetrics, sum } from '@rates/testing/metrics-text'
import { startReceiver, type Received, type Receiver } from '@rates/testing/receiver'
import { startTestWorker, type TestWorker } from './test-worker.ts'

// Webhooks of batches that fail, from the batch to the receiver. What becomes of each attempt: webhook-sender.

const key = Buffer.alloc(32, 'key')
const secret = `whsec_${key.toString('base64')}`

const whole = (line: Line, batch: TestBatch, headers: Record<string, string> = {}, value = csv(batch.lines)) => ({
  topic: line.topics.batches,
  headers: { 'batch-id': batch.id, 'content-type': 'text/csv', ...headers },
  value,
})

function bad(rows: number): TestBatch {
  const batch = testBatch(rows)
  batch.lines[rows - 1] = 'CNGGZ,NLRTX,2001-01-01,5'
  return batch
}

const stored = async (line: Line): Promise<number> =>
  (await line.pool.query<{ n: number }>('select count(*)::int as n from webhooks')).rows[0]!.n

describe('with a WEBHOOK_URL', () => {
  let line: Line
  let receiver: Receiver
  let folder: string
  let workers: TestWorker[]
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rates-webhooks-'))
    await writeFile(join(folder, 'secret'), `${secret}\n`)
    receiver = await startReceiver()
    line = await startLine({ partitions: 2 })
    const settings = {
      WEBHOOK_URL: `${receiver.url.replace('//', '//us%40er:pass@')}/hook?of=rates`,
      WEBHOOK_SECRET_FILE: join(folder, 'secret'),
      PUBLIC_URL: 'https://rates.example/',
      CHUNK_TIMEOUT_SECONDS: '1',
      BUILD_VERSION: '1.2.3',
    }
    workers = await Promise.all([startTestWorker(line, settings), startTestWorker(line, settings)])
  })
  afterAll(async () => {
    await line.close()
    await receiver.close()
    await rm(folder, { recursive: true })
  })

  const arrived = (id: string): Promise<Received> =>
    eventually(() => Promise.resolve(receiver.of(id)[0]), { within: 60_000, what: `the webhook of ${id}` })

  it('a batch that fails has one, signed, with its reply in it', async () => {
    const batch = bad(30)
    batch.id = 'acme.2026-11:7'
    await line.send([whole(line, batch, { source: 'Übersee', 'correlation-id': 'c' })])
    const reply = await line.reply(batch.id)
    const { path, headers, body } = await arrived(batch.id)
    expect(path).toBe('/hook?of=rates')
    expect(JSON.parse(body)).toEqual({
      type: 'batch.failed',
      timestamp: reply.finishedAt,
      ...reply,
      links: {
        self: 'https://rates.example/batches/acme.2026-11%3A7',
        errors: 'https://rates.example/batches/acme.2026-11%3A7/errors',
      },
    })
    const id = 'acme%2E2026-11%3A7%2Ffailed'
    const time = headers['webhook-timestamp']!
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
      'user-agent': 'rates/1.2.3',
      authorization: `Basic ${Buffer.from('us@er:pass').toString('base64')}`,
      'webhook-id': id,
      'webhook-signature': `v1,${createHmac('sha256', key)
        .update(`${id}.${String(time)}.${body}`)
        .digest('base64')}`,
    })
    expect(Math.abs(Number(time) - Date.now() / 1000)).toBeLessThan(30)
  })

  it('whatever a batch fails of, once; those that do not fail, and dry runs, have none', async () => {
    const past = '2026-01-02T03:04:05Z'
    const [rows, chunked, late, unreadable] = [bad(20), bad(90), testBatch(5), testBatch(5)]
    const [replyTo, incomplete, replaces] = [testBatch(5), testBatch(40), testBatch(5)]
    const [good, many, dry, cancelled] = [testBatch(10), testBatch(90), bad(10), testBatch(40)]
    const half = await chunkRecords(line.topics.bulk, { batchId: incomplete.id }, incomplete.lines, { chunks: 2 })
    await cancelBatch(line.producer, line.topics, { batchId: cancelled.id })
    await line.send([
      whole(line, rows),
      ...(await chunkRecords(line.topics.bulk, { batchId: chunked.id }, chunked.lines, { chunks: 3 })),
      whole(line, late, { deadline: past }),
      whole(line, unreadable, { 'content-type': 'application/json' }, Buffer.from('{"prices": [')),
      whole(line, replyTo, { 'reply-to': 'not.there' }),
      ...half.slice(1),
      whole(line, replaces, { replaces: 'nobody' }),
      whole(line, good),
      ...(await chunkRecords(line.topics.bulk, { batchId: many.id }, many.lines, { chunks: 3 })),
      whole(line, dry, { 'dry-run': 'true' }),
    ])
    const failed: [TestBatch, string][] = [
      [rows, 'rejected_rows'],
      [chunked, 'rejected_rows'],
      [late, 'deadline_passed'],
      [unreadable, 'unreadable'],
      [replyTo, 'reply_to_not_allowed'],
      [incomplete, 'incomplete'],
      [replaces, 'replaces_unknown'],
    ]
    for (const { id } of [good, many, dry, cancelled]) await line.reply(id)
    for (const [{ id }, code] of failed) {
      const { body } = await arrived(id)
      expect(JSON.parse(body)).toMatchObject({ batchId: id, error: { code } })
    }
    await settled(line)
    const waiting = 'select from webhooks where ended_at is null'
    await eventually(async () => (await line.pool.query(waiting)).rowCount === 0)
    for (const [{ id }] of failed) expect([id, receiver.of(id).length]).toEqual([id, 1])
    for (const { id } of [good, many, dry, cancelled]) expect([id, receiver.of(id).length]).toEqual([id, 0])
    expect(await stored(line)).toBe(receiver.received.length)
    const samples = (
      await Promise.all(workers.map(({ managementPort }) => readMetrics(`http://127.0.0.1:${managementPort}/metrics`)))
    ).flat()
    expect(sum(samples, 'rates_webhooks_total', { outcome: 'sent' })).toBe(receiver.received.length)
    expect(sum(samples, 'rates_webhooks_total', { outcome: 'failed' })).toBe(0)
  })

  it('a receiver that lets it wait holds up neither batches nor replies', async () => {
    receiver.answer(() => undefined)
    const stuck = Array.from({ length: 6 }, () => bad(10))
    await line.send(stuck.map((batch) => whole(line, batch)))
    await eventually(() => Promise.resolve(stuck.filter(({ id }) => receiver.of(id).length > 0).length === 4))
    const [good, failing] = [testBatch(500), bad(20)]
    await line.send([whole(line, good), whole(line, failing)])
    await line.reply(good.id)
    await line.reply(failing.id)
    // Nor had one of the four been given up by then.
    expect((await line.pool.query('select from webhooks where error is not null')).rowCount).toBe(0)
    expect(receiver.received.filter(({ atOnce }) => atOnce > 4)).toEqual([])
    receiver.release()
    for (const { id } of [...stuck, failing]) await arrived(id)
  })
})

describe('a failed outcome whose COMMIT is lost', () => {
  let line: Line
  let proxy: FaultProxy
  let receiver: Receiver
  beforeAll(async () => {
    receiver = await startReceiver()
    line = await startLine({ partitions: 1 })
    proxy = await startFaultProxy(line.databaseUrl)
    line.defer(() => proxy.close())
    await startTestWorker(line, { DATABASE_URL: proxy.url, WEBHOOK_URL: receiver.url })
  })
  afterAll(async () => {
    await line.close()
    await receiver.close()
  })

  it.each(['answer', 'request'] as const)('(its %s) has one webhook all the same', async (lost) => {
    const batch = bad(30)
    const cut = proxy.cutCommit(lost)
    await line.send([whole(line, batch)])
    await cut
    await line.reply(batch.id)
    await eventually(() => Promise.resolve(receiver.of(batch.id).length > 0))
    const { rows } = await line.pool.query(
      'select w.webhook_id, w.attempts from webhooks w join batches b on b.no = w.batch_no where b.id = $1',
      [batch.id],
    )
    expect(rows).toEqual([{ webhook_id: `${batch.id}%2Ffailed`, attempts: expect.any(Number) }])
    expect(receiver.of(batch.id)[0]!.headers['webhook-signature']).toBeUndefined()
  })
})

describe('without a WEBHOOK_URL', () => {
  it('nothing is written, and nobody asks for any', async () => {
    const line = await startLine({ partitions: 1 })
    try {
      const worker = await startTestWorker(line)
      const batch = bad(30)
      await line.send([whole(line, batch)])
      await line.reply(batch.id)
      expect(await stored(line)).toBe(0)
      const { rows } = await line.pool.query<{ name: string }>('select name from leases')
      expect(rows.map(({ name }) => name).filter((name) => name.endsWith('webhook'))).toEqual([])
      await eventually(async () => {
        const samples = await readMetrics(`http://127.0.0.1:${worker.managementPort}/metrics`)
        expect(samples.some(({ name }) => name === 'rates_outbox_pending')).toBe(true)
        return !samples.some(({ name }) => name === 'rates_webhooks_pending')
      })
    } finally {
      await line.close()
    }
  })
})
