import { Counter, Histogram, type Registry } from 'prom-client'
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
    help: 'Rows of stored chunks.',
    labelNames: ['outcome'],
    registers,
  })
  const bytes = new Counter({ name: 'rates_ingest_bytes_total', help: 'Bytes of stored chunks, as sent.', registers })
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
  const replies = new Counter({ name: 'rates_outbox_published_total', help: 'Replies sent by this relay.', registers })
  const chunkSeconds = new Histogram({
    name: 'rates_ingest_chunk_duration_seconds',
    help: 'From taking a chunk to its commit.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  })
  return {
    batches,
    chunks,
    retries,
    deadLetters,
    rebalances,
    reverts,
    replies,
    chunkSeconds,
    stored(chunk: ChunkRow): void {
      rows.inc({ outcome: 'ok' }, chunk.rows - chunk.rejected)
      rows.inc({ outcome: 'invalid' }, chunk.rejected)
      bytes.inc(chunk.bytes)
    },
  }
}

export type IngestMetrics = ReturnType<typeof ingestMetrics>
