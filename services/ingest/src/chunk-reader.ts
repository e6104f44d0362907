import { type RowBuffer } from '@rates/core/row-buffer'
import { type IncomingRecord } from '@rates/service/kafka'
import { packErrors } from '@rates/service/ledger/row-errors'
import { RssSampler } from '@rates/service/memory'
import { type Catalog } from './catalog.ts'
import { parseChunk, type DeadLetter, type IncomingChunk, type UnreadableBatch } from './incoming.ts'
import { type ChunkRow } from './store-chunk.ts'

/** Parses chunks by the catalogue, and makes of them what the ledger keeps. */
export class ChunkReader {
  private readonly memory = new RssSampler()
  private readonly catalog: Catalog
  private readonly worker: string

  constructor(catalog: Catalog, worker: string) {
    this.catalog = catalog
    this.worker = worker
  }

  /** Parses into `rows`; an unknown port is believed only once the catalogue was looked at again. */
  async parse(incoming: IncomingChunk, rows: RowBuffer): Promise<DeadLetter | undefined> {
    const refused = parseChunk(incoming, rows, this.catalog.ports)
    const unknownPort = rows.rules().unknown_port !== undefined
    if (refused || !unknownPort || !(await this.catalog.refresh())) return refused
    return parseChunk(incoming, rows, this.catalog.ports)
  }

  async chunkRow(
    record: IncomingRecord,
    incoming: IncomingChunk | UnreadableBatch,
    rows: RowBuffer,
    attempt: number,
    takenAt: Date,
  ): Promise<ChunkRow> {
    const { rejected } = rows
    return {
      chunk: incoming.chunk,
      total: incoming.total ?? null,
      progress: (incoming.kind === 'chunk' && incoming.progress) || null,
      rows: rows.rows,
      rejected,
      rules: rejected > 0 ? rows.rules() : null,
      errors: rejected > 0 ? await packErrors(rows.errors) : null,
      sha256: incoming.sha256,
      digest: rows.digest.bytes(),
      topic: record.topic,
      partition: record.partition,
      offset: record.offset,
      recordTime: new Date(record.timestamp),
      bytes: incoming.bytes,
      worker: this.worker,
      peakMemory: this.memory.read(),
      attempt,
      takenAt,
    }
  }
}
