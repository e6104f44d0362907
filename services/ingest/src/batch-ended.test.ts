import { expect, it } from '@jest/globals'
import { createLogger } from '@rates/service/log'
import { parseMetrics, sum } from '@rates/testing/metrics-text'
import { Registry } from 'prom-client'
import { batchEnded, traceId, type EndedBatch } from './batch-ended.ts'
import { ingestMetrics, sizeClass } from './metrics.ts'

const batch: EndedBatch = {
  id: 'acme-1',
  dryRun: false,
  source: 'acme',
  outcome: 'succeeded',
  rows: { accepted: 1_000, rejected: 0 },
  chunks: 2,
  createdAt: new Date(Date.now() - 30_000),
  deadline: new Date(Date.now() + 30_000),
  correlationId: 'order-7',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
}
const record = { topic: 'rates.batches', partition: 3, offset: 12n, timestamp: Date.now() - 2_000 }

it('a batch that ends has one line with all about it', async () => {
  const lines: Record<string, unknown>[] = []
  const log = createLogger('test', 'info', { write: (line) => void lines.push(JSON.parse(line) as (typeof lines)[0]) })
  const registry = new Registry()
  const metrics = ingestMetrics(registry)
  batchEnded(metrics, log, batch, { stage: 'publish', attempt: 2, record })
  batchEnded(metrics, log, { ...batch, outcome: 'failed', error: 'deadline_passed' }, { stage: 'sweep' })
  batchEnded(metrics, log, { ...batch, outcome: 'failed', error: 'rejected_rows' }, { stage: 'copy', record })
  expect(lines).toHaveLength(3)
  expect(lines[0]).toMatchObject({
    msg: 'batch finished',
    batch_id: 'acme-1',
    correlation_id: 'order-7',
    trace_id: '0af7651916cd43dd8448eb211c80319c',
    stage: 'publish',
    attempt: 2,
    topic: 'rates.batches',
    partition: 3,
    offset: '12',
    outcome: 'succeeded',
    rows: 1_000,
    chunks: 2,
    source: 'acme',
    seconds: expect.closeTo(30, 0),
    since_record_seconds: expect.closeTo(2, 0),
    slack_seconds: expect.closeTo(30, 0),
  })
  expect(lines[1]).not.toHaveProperty('topic')
  const samples = parseMetrics(await registry.metrics())
  expect(sum(samples, 'rates_ingest_batch_duration_seconds_count', { size_class: 'tiny' })).toBe(3)
  // What failed for its rows was not late.
  expect(sum(samples, 'rates_ingest_deadline_used_ratio_count')).toBe(2)
  expect(sum(samples, 'rates_ingest_rows_total', { stage: 'publish', outcome: 'ok' })).toBe(1_000)
})

it.each([
  [1_000, 'tiny'],
  [30_000, 'small'],
  [300_000, 'medium'],
  [300_001, 'large'],
])('a batch of %i rows is %s', (rows, size) => expect(sizeClass(rows)).toBe(size))

it('what is no traceparent has no trace', () => {
  for (const text of [null, undefined, '', 'x', '00-0af7-b7ad-01']) expect(traceId(text)).toBeUndefined()
})
