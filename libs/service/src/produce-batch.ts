import { type BodyFormat } from '@rates/core/chunk-cutter'
import { FAST_LANE_CHUNKS } from '@rates/core/limits'
import { writeBatchHeaders, writeChunkHeaders, type BatchHeaders, type ChunkHeaders } from '@rates/core/wire'
import { cutBatch, type CutOptions } from './cut-batch.ts'
import { type Producer } from './kafka.ts'
import { type TopicNames } from './topics.ts'

export type { BodyFormat } from '@rates/core/chunk-cutter'
export type { BatchHeaders } from '@rates/core/wire'
export { EmptyBatch, TooManyChunks } from './cut-batch.ts'

export interface SentBatch {
  chunks: number
  rows: number
  /** Of the bodies as sent. */
  bytes: number
  /** The topic they went to. */
  lane: string
}

export interface ProduceOptions extends CutOptions {
  /** Called with the totals so far when chunks are acknowledged. */
  onChunk?: (sent: { chunks: number; rows: number; bytes: number }) => void
}

/**
 * Cuts a batch into chunks and sends them, in constant memory; resolves when the last is acknowledged. A batch of up to
 * four chunks goes by the first lane, with its total on every record; a larger one by the bulk lane, with its total on
 * the last. @throws EmptyBatch, RowTooLong, TooManyChunks, the signal's reason
 */
export async function produceBatch(
  producer: Producer,
  topics: Pick<TopicNames, 'batches' | 'bulk'>,
  input: AsyncIterable<Uint8Array>,
  format: BodyFormat,
  batch: BatchHeaders,
  options: ProduceOptions = {},
): Promise<SentBatch> {
  const sent: SentBatch = { chunks: 0, rows: 0, bytes: 0, lane: topics.batches }
  for await (const { headers, body } of cutBatch(input, format, batch, options)) {
    sent.lane = laneOf(headers, topics)
    // One record at a time: two of them on one partition would be one record batch, larger than a broker takes.
    await producer.send([{ topic: sent.lane, headers: writeChunkHeaders(headers), value: body }])
    sent.chunks++
    sent.rows += headers.rows
    sent.bytes += body.length
    options.onChunk?.(sent)
  }
  return sent
}

/** The topic of a chunk that cutBatch() made. */
export const laneOf = (
  { chunks }: Pick<ChunkHeaders, 'chunks'>,
  topics: Pick<TopicNames, 'batches' | 'bulk'>,
): string => (chunks !== undefined && chunks <= FAST_LANE_CHUNKS ? topics.batches : topics.bulk)

/** Ends a batch that is not finished, also before its first chunk is read. `batch` are the headers of its chunks. */
export async function cancelBatch(
  producer: Producer,
  topics: Pick<TopicNames, 'batches'>,
  batch: BatchHeaders,
): Promise<void> {
  const headers = { ...writeBatchHeaders(batch), control: 'cancel' }
  await producer.send([{ topic: topics.batches, headers, value: null }])
}

/** Asks for a batch that succeeded to be hidden; the answer is a reply of its own. */
export async function requestRevert(
  producer: Producer,
  topics: Pick<TopicNames, 'batches'>,
  request: Pick<BatchHeaders, 'batchId' | 'replyTo' | 'correlationId' | 'dryRun' | 'traceparent'>,
): Promise<void> {
  const headers = { ...writeBatchHeaders(request), control: 'revert' }
  await producer.send([{ topic: topics.batches, headers, value: null }])
}
