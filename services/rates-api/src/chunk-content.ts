import { type BodyFormat } from '@rates/core/chunk-cutter'
import { csvPreamble } from '@rates/core/csv'
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
  /** Data rows. */
  rows: number
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
  if (rows > MAX_CHUNK_ROWS) {
    throw new Problem(400, `The content has ${rows} rows; a chunk may have ${MAX_CHUNK_ROWS}.`)
  }
  if (content.rows !== undefined && rows !== content.rows) {
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

const LF = 0x0a
const QUOTE = 0x22

/** Data rows of a chunk, as parsing it will count them, however long they are. */
export function countRows(text: Uint8Array, format: BodyFormat): number {
  const csv = format === 'csv'
  const start = csv ? csvPreamble(text) : text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf ? 3 : 0
  let rows = 0
  let rowStart = start
  let quoted = false
  for (let at = start; at < text.length; at++) {
    if (csv && text[at] === QUOTE) quoted = !quoted
    else if (text[at] === LF && !quoted) {
      rows++
      rowStart = at + 1
    }
  }
  return rowStart < text.length ? rows + 1 : rows // the last one may have no line break
}
