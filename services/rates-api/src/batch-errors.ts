import { type BadRow } from '@rates/core/bad-rows'
import { unpackErrors } from '@rates/service/ledger/row-errors'
import { type Pool } from 'pg'
import { noBatch } from './no-batch.ts'

interface BadChunk {
  chunk: number
  /** Data rows in the chunks before it; null if one of those is missing. */
  before: number | null
}

export interface ErrorsOfBatch {
  batch: string
  rejected: number
  /** One chunk's errors at a time are in memory. */
  rows: AsyncIterable<BadRow>
}

/** Row numbers are prefix sums over the rows of the chunks before, none of which may be missing. */
const FIND = `
select b.no, coalesce(sum(c.rejected), 0)::int8 as rejected,
  coalesce(jsonb_agg(jsonb_build_object('chunk', c.chunk, 'before', case when c.rank = c.chunk then c.before end)
    order by c.chunk) filter (where c.bad), '[]') as chunks
from batches b
left join lateral (
  select chunk, rejected, errors is not null as bad, sum(rows) over (order by chunk) - rows as before,
    row_number() over (order by chunk) - 1 as rank
  from batch_chunks where batch_no = b.no
) c on true
where b.id = $1 and b.dry_run = $2
group by b.no`

const READ = 'select errors from batch_chunks where batch_no = $1 and chunk = $2'

export class BatchErrors {
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /** The bad rows of a batch, in order; undefined if there is no such batch. */
  async find(id: string, dryRun: boolean): Promise<ErrorsOfBatch | undefined> {
    const found = await this.#pool.query<{ no: bigint; rejected: bigint; chunks: BadChunk[] }>(FIND, [id, dryRun])
    const batch = found.rows[0]
    if (batch === undefined) return undefined
    return { batch: id, rejected: Number(batch.rejected), rows: this.#read({ id, no: batch.no }, batch.chunks) }
  }

  /** @throws Problem 404 once the ledger has forgotten the batch */
  async *#read({ id, no }: { id: string; no: bigint }, chunks: readonly BadChunk[]): AsyncGenerator<BadRow> {
    for (const { chunk, before } of chunks) {
      const stored = await this.#pool.query<{ errors: Buffer | null }>(READ, [no, chunk])
      const compressed = stored.rows[0]?.errors
      if (!compressed) throw noBatch(id)
      for (const { row, field, value, rule, text } of await unpackErrors(compressed)) {
        yield { row: before === null ? null : before + row + 1, chunk, rowInChunk: row + 1, field, value, rule, text }
      }
    }
  }
}
