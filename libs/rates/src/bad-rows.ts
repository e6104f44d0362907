import { csvLine } from './csv-line.ts'
import { type Rule } from './rejection.ts'

/** A bad row of a batch, as the API tells it. */
export interface BadRow {
  /** Among the batch's data rows, from 1; null if an earlier chunk never came, so that nobody can know. */
  row: number | null
  chunk: number
  /** Among the chunk's data rows, from 1. */
  rowInChunk: number
  field: string | null
  value: string
  rule: Rule
  /** The row as it came. */
  text: string
}

/** As NDJSON, an object for each row. */
export async function* asNdjson(rows: AsyncIterable<BadRow>): AsyncGenerator<string> {
  yield* inPieces(rows, (row) => `${JSON.stringify(row)}\n`)
}

const COLUMNS = ['row', 'chunk', 'rowInChunk', 'field', 'value', 'rule', 'text'] as const

/** As CSV (RFC 4180) with a header line. */
export async function* asCsv(rows: AsyncIterable<BadRow>): AsyncGenerator<string> {
  yield csvLine(COLUMNS)
  yield* inPieces(rows, (row) => csvLine(COLUMNS.map((column) => row[column])))
}

/** A piece for each row would cost a write for each. */
const PIECE = 32_768

async function* inPieces(rows: AsyncIterable<BadRow>, format: (row: BadRow) => string): AsyncGenerator<string> {
  let piece = ''
  for await (const row of rows) {
    piece += format(row)
    if (piece.length < PIECE) continue
    yield piece
    piece = ''
  }
  if (piece !== '') yield piece
}
