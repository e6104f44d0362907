import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { STAGES } from '@rates/core/bottleneck'
import { chunkRecords, csv, testBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { startLine, type Line } from '@rates/testing/line'
import { undocumented } from '@rates/testing/metrics-docs'
import { readMetrics, sum, type Sample } from '@rates/testing/metrics-text'
import { startReceiver } from '@rates/testing/receiver'
import { startTestWorker, type TestWorker } from './test-worker.ts'

let line: Line
let worker: TestWorker
/** Between these two it has started. */
let [from, to] = [0, 0]

beforeAll(async () => {
  line = await startLine()
  const receiver = await startReceiver()
  line.defer(() => receiver.close())
  from = performance.now()
  worker = await startTestWorker(line, { WEBHOOK_URL: receiver.url })
  to = performance.now()
})
afterAll(() => line.close())

const scrape = (of = worker): Promise<Sample[]> => readMetrics(`http://127.0.0.1:${of.managementPort}/metrics`)

describe('the metrics of a worker', () => {
  it('tell of batches, rows, bytes, commits and replies', async () => {
    const small = testBatch(10)
    const large = testBatch(900)
    small.lines.push('CNGGZ,NLRTX,2026-01-01,5')
    const deadline = new Date(Date.now() + 60_000).toISOString()
    const chunks = await chunkRecords(line.topics.bulk, { batchId: large.id, deadline }, large.lines, {
      chunks: 3,
      total: 'last',
    })
    const bytes = chunks.reduce((all, { value }) => all + value!.length, 0)
    await line.send([
      ...chunks,
      { topic: line.topics.batches, headers: { 'batch-id': small.id }, value: csv(small.lines) },
    ])
    await line.reply(large.id)
    await line.reply(small.id)
    const value = await eventually(async () => {
      const samples = await scrape()
      return sum(samples, 'rates_outbox_published_total', { outcome: 'sent' }) === 2 && samples
    })
    const is = (name: string, labels: Record<string, string> = {}) => sum(value, name, labels)
    expect(is('rates_ingest_batches_total', { outcome: 'succeeded' })).toBe(1)
    expect(is('rates_ingest_batches_total', { outcome: 'failed' })).toBe(1)
    await eventually(async () => sum(await scrape(), 'rates_webhooks_total', { outcome: 'sent' }) === 1)
    expect(is('rates_ingest_rows_total', { stage: 'copy', outcome: 'ok' })).toBe(910)
    expect(is('rates_ingest_rows_total', { stage: 'copy', outcome: 'invalid' })).toBe(1)
    expect(is('rates_ingest_rows_total', { stage: 'publish', outcome: 'ok' })).toBe(900)
    expect(is('rates_ingest_rows_total', { stage: 'publish', outcome: 'invalid' })).toBe(1)
    expect(is('rates_ingest_bytes_total', { stage: 'fetch' })).toBe(bytes + csv(small.lines).length)
    expect(is('rates_ingest_bytes_total', { stage: 'copy' })).toBe(is('rates_ingest_bytes_total', { stage: 'fetch' }))
    expect(is('rates_ingest_batch_duration_seconds_count', { size_class: 'tiny', outcome: 'succeeded' })).toBe(1)
    expect(is('rates_ingest_deadline_used_ratio_bucket', { le: '0.5' })).toBe(1)
    expect(is('rates_ingest_stage_duration_seconds_count', { stage: 'wait' })).toBe(4)
    for (const stage of STAGES) expect(is('rates_ingest_stage_duration_seconds_count', { stage })).toBeGreaterThan(0)
    expect(is('rates_outbox_delay_seconds_count')).toBe(2)
    expect(is('rates_db_commit_duration_seconds_count')).toBeGreaterThan(2)
    expect(is('rates_ingest_draining')).toBe(0)
  })

  it('account for all of its time: busy, blocked and idle are workers by time', async () => {
    const before = performance.now()
    const samples = await scrape()
    const after = performance.now()
    for (const stage of STAGES) {
      const all = ['busy', 'blocked', 'idle'].reduce(
        (seconds, state) => seconds + sum(samples, `rates_ingest_stage_${state}_seconds_total`, { stage }),
        0,
      )
      expect(sum(samples, 'rates_ingest_stage_workers', { stage })).toBe(1)
      expect(all).toBeLessThan((after - from) / 1000)
      // The relay's began when it had its lease.
      if (stage !== 'respond') expect(all).toBeGreaterThan((before - to) / 1000)
    }
  })

  it('are those of docs/metrics.md', async () => {
    const open = testBatch(10)
    const deadline = new Date(Date.now() + 60_000).toISOString()
    const headers = { batchId: open.id, deadline }
    const [first, last] = await chunkRecords(line.topics.bulk, headers, open.lines, { chunks: 2, total: 'last' })
    await line.send([first!])
    const wanted = ['rates_ingest_deadline_slack_seconds', 'rates_packs']
    const samples = await eventually(async () => {
      const all = await scrape()
      return wanted.every((name) => all.some((sample) => sample.name === name)) && all
    })
    expect(undocumented(samples, ['Ingest', 'Both'])).toEqual([])
    await line.send([last!])
    await line.reply(open.id)
    await eventually(async () => !(await scrape()).some(({ name }) => name === 'rates_ingest_deadline_slack_seconds'))
  })

  it('tell of the whole system, as long as the worker leads', async () => {
    const has = async (of: TestWorker): Promise<boolean> =>
      (await scrape(of)).some(({ name }) => name === 'rates_ingest_in_flight_batches')
    await eventually(() => has(worker))
    const other = await startTestWorker(line)
    expect(await has(other)).toBe(false)
    const samples = await scrape()
    expect(samples.filter(({ name }) => name === 'rates_ingest_consumer_lag_messages')).toHaveLength(6)
    // No API runs here, and nobody has buckets: queries wait for their answers, beside the lanes.
    const query = { topic: line.topics.queries, headers: {}, value: Buffer.from('{}') }
    await line.send([query, query])
    const behind = (name: string): Promise<number> => scrape().then((all) => sum(all, name, { door: 'queries' }))
    await eventually(async () => (await behind('rates_door_lag_messages')) === 2)
    await eventually(async () => (await behind('rates_door_lag_seconds')) > 5, { within: 30_000 })
    const seen = await scrape()
    expect(new Set(seen.map(({ labels }) => labels['door']).filter(Boolean))).toEqual(new Set(['queries']))
    expect(sum(seen, 'rates_ingest_backlog_rows')).toBe(0)
    expect(seen.filter(({ name }) => name === 'rates_ingest_consumer_lag_messages')).toHaveLength(6)
    const backlog = await line.pool.query('select records::int, oldest_seconds::int from backlog')
    expect(backlog.rows).toEqual([{ records: 0, oldest_seconds: 0 }])
    await worker.stop()
    await eventually(() => has(other))
    // The drain of the one that has stopped is counted by the one that leads now.
    await eventually(async () => sum(await scrape(other), 'rates_ingest_drain_duration_seconds_count') === 1)
    const { rows } = await line.pool.query<{ name: string; ended: boolean; stages: string[] }>(
      `select name, ended_at is not null as ended, array(select jsonb_object_keys(seconds) from worker_stages s
         where s.worker = w.name and at = (select max(at) from worker_stages where worker = w.name)) as stages
       from workers w order by started_at`,
    )
    expect(rows).toEqual([
      { name: worker.name, ended: true, stages: expect.arrayContaining([...STAGES]) },
      { name: other.name, ended: false, stages: expect.arrayContaining([...STAGES]) },
    ])
  })
})
