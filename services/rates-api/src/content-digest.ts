import { ChunkCutter, type BodyFormat } from '@rates/core/chunk-cutter'
import { parseCsv } from '@rates/core/csv'
import { DigestSum } from '@rates/core/digest'
import { MAX_CHUNK_WIRE_BYTES } from '@rates/core/limits'
import { parseNdjson } from '@rates/core/ndjson'
import { type PortTable } from '@rates/core/port-table'
import { RowBuffer } from '@rates/core/row-buffer'

/** What two uploads are compared by: the same rows, in any order, format or cutting. */
export interface Content {
  digest: Uint8Array
  rows: number
}

/** Used by one chunk at a time, from its first byte to its last: all uploads can share it. */
const rows = new RowBuffer()

/** Sums up the content of a batch, chunk by chunk. Codes that are not in the table count all the same. */
export class ContentDigest {
  readonly #ports: PortTable
  readonly #format: BodyFormat
  readonly #sum = new DigestSum()
  #rows = 0

  constructor(ports: PortTable, format: BodyFormat) {
    this.#ports = ports
    this.#format = format
  }

  add(body: Uint8Array): void {
    rows.reset()
    if (this.#format === 'csv') parseCsv(body, this.#ports, rows)
    else parseNdjson(body, this.#ports, rows)
    this.#sum.addDigest(rows.digest.bytes())
    this.#rows += rows.rows
  }

  content(): Content {
    return { digest: this.#sum.bytes(), rows: this.#rows }
  }
}

/** The content of a batch that is not to be sent. */
export async function digestOf(
  input: AsyncIterable<Uint8Array>,
  format: BodyFormat,
  ports: PortTable,
): Promise<Content> {
  const sum = new ContentDigest(ports, format)
  const cutter = new ChunkCutter(format, { maxBytes: MAX_CHUNK_WIRE_BYTES })
  for await (const piece of input) for (const { body } of cutter.push(piece)) sum.add(body)
  for (const { body } of cutter.finish()) sum.add(body)
  return sum.content()
}
