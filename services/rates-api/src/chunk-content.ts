import { ChunkCutter, RowTooLong, type BodyFormat } from '@rates/core/chunk-cutter'
import { MAX_CHUNK_ROWS } from '@rates/core/limits'
import { BadEncoding, decompress, sha256 } from '@rates/service/compression'
import { Problem } from './problem.ts'
import { type Encoding } from './upload-body.ts'

/** A chunk's content as it came, and what its sender says of it. */
export interface ChunkContent {
  body: Uint8Array
  format: BodyFormat
  encoding: Encoding
  rows: number | undefined
  /** Lower-case hex. */
  sha256: string | undefined
}

export interface CheckedContent {
  sha256: Buffer
  /** Data rows; undefined where one is so long that only workers count it. */
  rows: number | undefined
}

/**
 * Refuses what workers would set aside instead of taking it for a part of the batch: that is told on Kafka alone, so an
 * HTTP sender would see a chunk that was acknowledged and is missing for ever. What is wrong with single rows is theirs
 * to find. @throws Problem 400
 */
export async function checkContent(content: ChunkContent): Promise<CheckedContent> {
  if (content.body.length === 0) throw new Problem(400, 'The content is empty.')
  const digest = sha256(content.body)
  if (content.sha256 !== undefined && content.sha256 !== digest.toString('hex')) {
    const detail = `The content has sha256 ${digest.toString('hex')}, the header says ${content.sha256}.`
    throw new Problem(400, detail, { extensions: { code: 'damaged' } })
  }
  const rows = countRows(await unpack(content), content.format)
  if (rows !== undefined && rows > MAX_CHUNK_ROWS) {
    throw new Problem(400, `The content has ${rows} rows; a chunk may have ${MAX_CHUNK_ROWS}.`)
  }
  if (rows !== undefined && content.rows !== undefined && rows !== content.rows) {
    const detail = `The content has ${rows} rows, the header says ${content.rows}.`
    throw new Problem(400, detail, { extensions: { code: 'damaged' } })
  }
  return { sha256: digest, rows }
}

/** As a worker will. @throws Problem 400 */
async function unpack({ body, encoding }: ChunkContent): Promise<Uint8Array> {
  try {
    return await decompress(body, encoding)
  } catch (error) {
    if (error instanceof BadEncoding) throw new Problem(400, `The content cannot be read: ${error.message}.`)
    throw error
  }
}

/** Pieces in which a text is looked through, so that it is not copied as a whole. */
const PIECE = 1 << 16

/** Data rows of a chunk, as parsing it will count them; undefined if one is longer than a row may be. */
export function countRows(text: Uint8Array, format: BodyFormat): number | undefined {
  const cutter = new ChunkCutter(format, { maxBytes: PIECE })
  try {
    for (let at = 0; at < text.length; at += PIECE) runOut(cutter.push(text.subarray(at, at + PIECE)))
    runOut(cutter.finish())
  } catch (error) {
    if (error instanceof RowTooLong) return undefined
    throw error
  }
  return cutter.totalRows
}

function runOut(pieces: Iterator<unknown>): void {
  while (!pieces.next().done);
}
