import { FAST_LANE_CHUNKS } from '@rates/core/limits'
import { idByPlace, readEnvelope, writeBatchHeaders, writeChunkHeaders, type BatchHeaders } from '@rates/core/wire'
import { type Envelope } from '@rates/core/wire'
import { sha256 } from '@rates/service/compression'
import { NoSuchPlace, type Fetcher } from '@rates/service/kafka-fetch'
import { type OutgoingRecord } from '@rates/service/kafka'
import { type TopicNames } from '@rates/service/topics'
import { type Pool } from 'pg'
import { placesFrom, type ChunkPlace } from './retry-ledger.ts'

type Rows = Extract<Envelope, { kind: 'chunk' | 'whole' }>

/** A record of a batch as it lies in Kafka. */
export interface BatchRecord {
  envelope: Rows
  sha256: Buffer
  value: Uint8Array
}

/** At a chunk's place lies something else: the topic was deleted and made again. */
export class OtherRecord extends Error {
  constructor({ topic, partition, offset, chunk }: ChunkPlace) {
    super(`record ${offset} of ${topic} in partition ${partition} is not chunk ${chunk}`)
    this.name = 'OtherRecord'
  }
}

/** Reads the record of a chunk, and nothing but its record batch. @throws NoSuchPlace, OtherRecord, Kafka's error */
export async function readChunk(fetcher: Fetcher, batchId: string, place: ChunkPlace): Promise<BatchRecord> {
  const { records } = await fetcher.fetch(place, 1)
  const record = records.find(({ offset }) => offset === place.offset)
  if (!record) throw new NoSuchPlace(place)
  const { value } = record
  const envelope = readEnvelope(record.headers)
  if ((envelope.kind !== 'chunk' && envelope.kind !== 'whole') || value === null) throw new OtherRecord(place)
  const chunk = envelope.kind === 'chunk' ? envelope.chunk : 0
  const id = envelope.batch.batchId ?? idByPlace(record)
  if (id !== batchId || chunk !== place.chunk || !place.sha256.equals(sha256(value))) throw new OtherRecord(place)
  return { envelope, sha256: place.sha256, value }
}

/** The places of all chunks of a batch in their order, some hundreds in memory and those that were looked for. */
export async function* placesOf(
  pool: Pool,
  batchNo: bigint,
  total: number,
  found: ReadonlyMap<number, ChunkPlace>,
): AsyncGenerator<ChunkPlace> {
  let page: ChunkPlace[] = []
  for (let chunk = 0; chunk < total; chunk++) {
    const place = found.get(chunk)
    if (place) yield place
    else {
      if (page.length === 0) page = await placesFrom(pool, batchNo, chunk)
      const next = page.shift()
      if (next?.chunk !== chunk) throw new Error(`the ledger has forgotten chunk ${chunk}`)
      yield next
    }
  }
}

/** The lane of a batch whose number of chunks is known. */
export const laneOf = ({ batches, bulk }: Pick<TopicNames, 'batches' | 'bulk'>, total: number): string =>
  total <= FAST_LANE_CHUNKS ? batches : bulk

/** The same record for another batch. A whole batch is one again. */
export function asPartOf(
  batch: BatchHeaders,
  total: number,
  topic: string,
  { envelope, sha256, value }: BatchRecord,
): OutgoingRecord {
  const digest = sha256.toString('hex')
  if (envelope.kind === 'chunk') {
    const headers = writeChunkHeaders({ ...envelope, batch, chunks: total, progress: undefined, sha256: digest })
    return { topic, headers, value }
  }
  const { rows, contentType, contentEncoding } = envelope
  const headers: Record<string, string> = { ...writeBatchHeaders(batch), sha256: digest }
  if (rows !== undefined) headers['rows'] = String(rows)
  if (contentType !== undefined) headers['content-type'] = contentType
  if (contentEncoding !== 'identity') headers['content-encoding'] = contentEncoding
  return { topic, headers, value }
}
