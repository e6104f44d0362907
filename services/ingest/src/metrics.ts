import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { type EndedBatch } from './batch-ended.ts'
import { DEAD_LETTER_REASONS } from './incoming.ts'
import { type ChunkRow } from './store-chunk.ts'

/** What the worker counts; docs/metrics.md lists all with their meaning. */
export function ingestMetrics(registry: Registry) {
  const registers = [registry]
  const batches = new Counter({
    name: 'rates_ingest_batches_total',
    help: 'Batches that ended here.',
    labelNames: ['outcome'],
    registers,
  })
  const rows = new Counter({
    name: 'rates_ingest_rows_total',
    help: 'Rows of stored chunks (copy), and of batches that ended here (publish).',
    labelNames: ['stage', 'outcome'],
    registers,
  })
  const bytes = new Counter({
    name: 'rates_ingest_bytes_total',
    help: 'Bytes of records that were fetched, and of stored chunks as sent (copy).',
    labelNames: ['stage'],
    registers,
  })
  const chunks = new Counter({
    name: 'rates_ingest_chunks_total',
    help: 'Chunks by what they were to their batch.',
    labelNames: ['relation'],
    registers,
  })
  const retries = new Counter({
    name: 'rates_ingest_retries_total',
    help: 'Steps done again after a fault that passes.',
    labelNames: ['stage', 'reason'],
    registers,
  })
  const deadLetters = new Counter({
    name: 'rates_ingest_dead_letters_total',
    help: 'Records set aside.',
    labelNames: ['reason'],
    registers,
  })
  const rebalances = new Counter({
    name: 'rates_ingest_rebalances_total',
    help: 'Changes of the partitions held.',
    labelNames: ['kind'],
    registers,
  })
  const reverts = new Counter({
    name: 'rates_ingest_reverts_total',
    help: 'Answers to control: revert.',
    labelNames: ['result'],
    registers,
  })
  const objectRequests = new Counter({
    name: 'rates_object_requests_total',
    help: 'Objects that notifications told of (noted, foreign_bucket), and requests dropped as their batch is another (conflict).',
    labelNames: ['outcome'],
    registers,
  })
  const replies = new Counter({
    name: 'rates_outbox_published_total',
    help: 'Replies by what became of sending them: sent, failed (they are sent again), no_topic (they wait for it), refused (given up).',
    labelNames: ['outcome'],
    registers,
  })
  const replySeconds = new Histogram({
    name: 'rates_outbox_delay_seconds',
    help: 'From the outcome to its reply being acknowledged by Kafka.',
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
    registers,
  })
  const webhooks = new Counter({
    name: 'rates_webhooks_total',
    help: 'Webhooks that were taken (sent), attempts that failed, and webhooks that were given up.',
    labelNames: ['outcome'],
    registers,
  })
  const batchSeconds = new Histogram({
    name: 'rates_ingest_batch_duration_seconds',
    help: 'From the record time of a batch to its outcome being visible.',
    labelNames: ['size_class', 'outcome'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600],
    registers,
  })
  const deadlineUsed = new Histogram({
    name: 'rates_ingest_deadline_used_ratio',
    help: 'Of the time from the record time of a batch to its deadline, the part that it took; above 1: too late.',
    buckets: [0.1, 0.25, 0.5, 0.75, 0.9, 1, 1.25, 1.5, 2, 5],
    registers,
  })
  const draining = new Gauge({ name: 'rates_ingest_draining', help: '1 while the worker stops.', registers })
  const chunkSeconds = new Histogram({
    name: 'rates_ingest_chunk_duration_seconds',
    help: 'From taking a chunk to its commit.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  // So that rates are known from the first event on.
  for (const stage of ['copy', 'publish']) for (const outcome of ['ok', 'invalid']) rows.inc({ stage, outcome }, 0)
  for (const stage of ['fetch', 'copy']) bytes.inc({ stage }, 0)
  for (const outcome of ['succeeded', 'failed', 'cancelled']) batches.inc({ outcome }, 0)
  for (const reason of [...DEAD_LETTER_REASONS, 'internal_error']) deadLetters.inc({ reason }, 0)
  for (const outcome of ['sent', 'failed', 'no_topic', 'refused']) replies.inc({ outcome }, 0)
  for (const outcome of ['sent', 'failed', 'given_up']) webhooks.inc({ outcome }, 0)
  for (const outcome of ['noted', 'foreign_bucket', 'conflict']) objectRequests.inc({ outcome }, 0)
  retries.inc({ stage: 'store', reason: 'connection' }, 0)
  reverts.inc({ result: 'reverted' }, 0)
  return {
    chunks,
    retries,
    deadLetters,
    rebalances,
    reverts,
    objectRequests,
    replies,
    replySeconds,
    webhooks,
    chunkSeconds,
    draining,
    fetched(count: number): void {
      bytes.inc({ stage: 'fetch' }, count)
    },
    stored(chunk: ChunkRow): void {
      rows.inc({ stage: 'copy', outcome: 'ok' }, chunk.rows - chunk.rejected)
      rows.inc({ stage: 'copy', outcome: 'invalid' }, chunk.rejected)
      bytes.inc({ stage: 'copy' }, chunk.bytes)
    },
    ended({ outcome, error, rows: counts, createdAt, deadline }: EndedBatch, at: number): void {
      batches.inc({ outcome })
      if (outcome === 'succeeded') rows.inc({ stage: 'publish', outcome: 'ok' }, counts.accepted)
      rows.inc({ stage: 'publish', outcome: 'invalid' }, counts.rejected)
      const begun = createdAt.getTime()
      const size_class = sizeClass(counts.accepted + counts.rejected)
      batchSeconds.observe({ size_class, outcome }, Math.max(0, at - begun) / 1000)
      // What failed for another reason was not late.
      if (deadline && (outcome === 'succeeded' || error === 'deadline_passed'))
        deadlineUsed.observe(Math.max(0, at - begun) / Math.max(1, deadline.getTime() - begun))
    },
  }
}

/** So that a histogram of durations is of batches that can be compared. */
export function sizeClass(rows: number): 'tiny' | 'small' | 'medium' | 'large' {
  if (rows <= 1_000) return 'tiny'
  if (rows <= 30_000) return 'small'
  return rows <= 300_000 ? 'medium' : 'large'
}

export type IngestMetrics = ReturnType<typeof ingestMetrics>
