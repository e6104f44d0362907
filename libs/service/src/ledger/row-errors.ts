import { promisify } from 'node:util'
import zlib from 'node:zlib'
import { type RowError } from '@rates/core/batch'
import { type Rejection } from '@rates/core/rejection'
import { readRejections, type RejectionLog } from '@rates/core/rejection-log'
import type pg from 'pg'

const zstdCompress = promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdCompress)
const zstdDecompress = promisify<zlib.InputType, Buffer>(zlib.zstdDecompress)

/** All bad rows of a chunk as batch_chunks.errors holds them: as RejectionLog writes them, compressed. */
export function packErrors(errors: RejectionLog): Promise<Buffer> {
  return zstdCompress(errors.bytes(), { chunkSize: 1 << 17, params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 } })
}

export async function unpackErrors(errors: Uint8Array): Promise<Iterable<Rejection>> {
  return readRejections(await zstdDecompress(errors))
}

/** Chunks with bad rows; `before`: the rows of all chunks before it. */
const CHUNKS_WITH_ERRORS = `
select before, errors from (
  select chunk, errors, rejected, sum(rows) over (order by chunk) - rows as before
  from batch_chunks where batch_no = $1
) c where rejected > 0 order by chunk`

/** The batch's first bad rows with their numbers in the file (data rows from 1), as far as its chunks are there. */
export async function firstRowErrors(db: Pick<pg.Pool, 'query'>, batchNo: bigint, limit: number): Promise<RowError[]> {
  const found: RowError[] = []
  const { rows } = await db.query<{ before: string; errors: Buffer }>(`${CHUNKS_WITH_ERRORS} limit $2`, [
    batchNo,
    limit,
  ])
  for (const chunk of rows) {
    for (const { row, field, value, rule } of await unpackErrors(chunk.errors)) {
      if (found.length === limit) return found
      found.push({ row: Number(chunk.before) + row + 1, field, value, rule })
    }
  }
  return found
}
