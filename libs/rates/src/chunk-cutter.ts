import { csvPreamble, CSV_HEADER } from './csv.ts'
import { MAX_CHUNK_ROWS, MAX_RECORD_BYTES } from './limits.ts'

const LF = 0x0a
const QUOTE = 0x22
const HEADER_LINE = new TextEncoder().encode(`${CSV_HEADER}\n`)

export type BodyFormat = 'csv' | 'ndjson'

export interface Chunk {
  index: number
  rows: number
  body: Uint8Array
}

/** A row of the input is longer than a row may be (64 KiB): most likely a quote that never closes. */
export class RowTooLong extends Error {
  readonly row: number
  constructor(row: number) {
    super(`row ${row} is longer than ${MAX_RECORD_BYTES} bytes; is a quote left open?`)
    this.name = 'RowTooLong'
    this.row = row
  }
}

/**
 * Cuts a batch into chunks, in constant memory. Deterministic: the same bytes give the same chunks, whatever the pieces
 * they come in. A chunk holds as many whole rows as fit into `maxBytes` and `maxRows`. A byte order mark and the header
 * line at the start of the input are left out. A CSV row ends at the first LF before which quotes are balanced. Where a
 * chunk would begin with a row that reads like a header line, as files have that were put together, it gets a header
 * line before it: that row is a bad one, wherever the input is cut.
 */
export class ChunkCutter {
  private readonly csv: boolean
  private readonly maxBytes: number
  private readonly maxRows: number
  private buffer = new Uint8Array(1 << 20)
  private length = 0
  /** Where the row that is being looked for starts, up to where it was looked at, and its quotes so far. */
  private rowStart = 0
  private scanned = 0
  private quotes = 0
  private rows = 0
  private chunks = 0
  private started = false
  /** Rows in all chunks so far and in the one being filled. */
  totalRows = 0

  constructor(format: BodyFormat, limits: { maxBytes: number; maxRows?: number }) {
    this.csv = format === 'csv'
    this.maxBytes = limits.maxBytes
    this.maxRows = limits.maxRows ?? MAX_CHUNK_ROWS
  }

  /** Takes the next piece of the input. @throws RowTooLong */
  *push(piece: Uint8Array): Generator<Chunk> {
    this.append(piece)
    if (!this.started) {
      if (this.length < 128) return // two preambles are shorter
      this.start()
    }
    yield* this.cut(false)
  }

  /** Ends the input: the last chunk, if there is one. @throws RowTooLong */
  *finish(): Generator<Chunk> {
    if (!this.started) this.start()
    yield* this.cut(true)
    if (this.rows > 0) yield this.emit(this.rowStart)
  }

  private start(): void {
    this.started = true
    const body = this.buffer.subarray(0, this.length)
    const preamble = this.csv ? csvPreamble(body) : body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0
    this.buffer.copyWithin(0, preamble, this.length)
    this.length -= preamble
    this.openChunk()
  }

  /** Puts a header line before a row that would be taken for one at the start of its chunk. */
  private openChunk(): void {
    this.rowStart = 0
    if (this.csv && csvPreamble(this.buffer.subarray(0, this.length)) > 0) {
      this.append(HEADER_LINE)
      this.buffer.copyWithin(HEADER_LINE.length, 0, this.length - HEADER_LINE.length)
      this.buffer.set(HEADER_LINE)
      this.rowStart = HEADER_LINE.length
    }
    this.scanned = this.rowStart
    this.quotes = 0
    this.rows = 0
  }

  private *cut(last: boolean): Generator<Chunk> {
    for (;;) {
      const end = this.rowEnd(last)
      if (end < 0) {
        if (this.length - this.rowStart > MAX_RECORD_BYTES) throw new RowTooLong(this.totalRows + 1)
        return
      }
      if (end - this.rowStart > MAX_RECORD_BYTES) throw new RowTooLong(this.totalRows + 1)
      if (this.rows === this.maxRows || (this.rows > 0 && end > this.maxBytes)) {
        yield this.emit(this.rowStart)
        continue // the buffer moved: find the row's end again
      }
      this.rowStart = end
      this.scanned = end
      this.quotes = 0
      this.rows++
      this.totalRows++
    }
  }

  /** Where the row at rowStart ends (after its LF), or -1 if that is not in the buffer yet. */
  private rowEnd(last: boolean): number {
    const { buffer, length } = this
    if (this.rowStart === length) return -1
    while (this.scanned < length) {
      const found = buffer.indexOf(LF, this.scanned)
      const until = found < 0 || found >= length ? length : found
      if (this.csv) for (let i = this.scanned; i < until; i++) if (buffer[i] === QUOTE) this.quotes++
      this.scanned = Math.min(until + 1, length)
      if (until < length && this.quotes % 2 === 0) return until + 1
    }
    return last ? length : -1
  }

  private emit(end: number): Chunk {
    const chunk = { index: this.chunks++, rows: this.rows, body: this.buffer.slice(0, end) }
    this.buffer.copyWithin(0, end, this.length)
    this.length -= end
    this.openChunk()
    return chunk
  }

  private append(piece: Uint8Array): void {
    if (this.length + piece.length > this.buffer.length) {
      const grown = new Uint8Array(Math.max(this.buffer.length * 2, this.length + piece.length))
      grown.set(this.buffer.subarray(0, this.length))
      this.buffer = grown
    }
    this.buffer.set(piece, this.length)
    this.length += piece.length
  }
}
