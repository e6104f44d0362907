import { type BatchError } from '@rates/core/batch'
import { type RowBuffer } from '@rates/core/row-buffer'
import { type BatchHeaders } from '@rates/core/wire'
import { failpoint } from '@rates/service/failpoints'
import { outcomeValues, replyOf, tellOutcome, type ReplySettings, type Verdict } from '@rates/service/ledger/finish'
import { openingValues } from '@rates/service/ledger/open'
import { withTransaction } from '@rates/service/postgres'
import type pg from 'pg'
import { copyPacks, insertChunk, type ChunkRow } from './store-chunk.ts'

const INSERT_ENDED = `
insert into batches (id, dry_run, topic, source, replaces, retry_of, deadline, on_deadline, reply_to, correlation_id,
  traceparent, created_at, state, finished_at, chunks_expected, rows_accepted, rows_rejected, digest, error)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
on conflict (id, dry_run) do nothing
returning no`

/** Why a batch with bad rows fails. */
export function rejectedRows(rejected: number, rows: number, rules: Record<string, number>): BatchError {
  const hint = rules['unknown_port'] ? '; ports are added by "rates ports import FILE.csv" or PUT /ports/CODE' : ''
  const message = `${rejected} of ${rows} rows break a rule; nothing of the batch is visible${hint}`
  return { code: 'rejected_rows', message, rules }
}

/** The verdict on a batch of one chunk. */
export function verdictOf(rows: RowBuffer, digest: Uint8Array): Verdict {
  const { rejected } = rows
  const error = rejected === 0 ? null : rejectedRows(rejected, rows.rows, rows.rules())
  return {
    state: error ? 'failed' : 'succeeded',
    error,
    chunks: 1,
    rows: { accepted: rows.accepted, rejected },
    digest: error ? null : digest,
    errors: rows.rejections(20).map(({ row, field, value, rule }) => ({ row: row + 1, field, value, rule })),
  }
}

/**
 * A batch of one record that nobody has met before: ledger, chunk, packs and reply in one transaction, never hidden.
 * @returns false if the ledger has its id: nothing was done then
 */
export function storeSmall(
  pool: pg.Pool,
  headers: BatchHeaders,
  chunk: ChunkRow,
  verdict: Verdict,
  encode: ((batchNo: bigint) => Iterable<Uint8Array>) | undefined,
  settings: ReplySettings,
): Promise<boolean> {
  return withTransaction(pool, async (client) => {
    const finishedAt = new Date()
    const { rows } = await client.query<{ no: bigint }>({
      name: 'insert-ended',
      text: INSERT_ENDED,
      values: [...openingValues(headers, chunk.topic, chunk.recordTime), ...outcomeValues(verdict, finishedAt)],
    })
    const no = rows[0]?.no
    if (no === undefined) return false
    await insertChunk(client, no, chunk)
    if (encode && verdict.state === 'succeeded') await copyPacks(client, encode(no))
    const batch = {
      id: headers.batchId,
      dryRun: headers.dryRun ?? false,
      source: headers.source ?? null,
      correlationId: headers.correlationId ?? null,
      createdAt: chunk.recordTime,
      replyTo: headers.replyTo ?? null,
      traceparent: headers.traceparent ?? null,
    }
    await tellOutcome(client, no, replyOf(batch, verdict, finishedAt), batch, settings)
    failpoint('inside-small')
    return true
  })
}
