import { type BatchError, type Outcome, type Reply, type RowError } from '@rates/core/batch'
import { digestHex } from '@rates/core/digest'
import type pg from 'pg'
import { storable } from '../storable.ts'
import { type LedgerBatch } from './open.ts'
import { enqueueWebhook, type WebhookSettings } from './webhook.ts'

/** How a batch ended. */
export interface Verdict {
  state: Outcome
  error: BatchError | null
  chunks: number | null
  rows: { accepted: number; rejected: number }
  digest: Uint8Array | null
  /** The first 20. */
  errors: RowError[]
}

/** Who is told of a batch's outcome, and where. */
export interface ReplySettings {
  /** Where replies go whose sender names no topic, or none that is allowed. */
  replies: string
  /** The topics that senders may name in `reply-to`. */
  allowed: readonly string[]
  /** A webhook for each batch that fails; null: there are none, or the process lets no batch fail. */
  webhooks: WebhookSettings | null
}

export const replyTopic = (replyTo: string | null | undefined, settings: ReplySettings): string =>
  replyTo && settings.allowed.includes(replyTo) ? replyTo : settings.replies

export const batchLinks = (id: string, dryRun: boolean): { self: string; errors: string } => {
  const self = `/batches/${encodeURIComponent(id)}`
  const query = dryRun ? '?dryRun=true' : ''
  return { self: self + query, errors: `${self}/errors${query}` }
}

type ReplyBatch = Pick<LedgerBatch, 'id' | 'dryRun' | 'source' | 'correlationId' | 'createdAt'>

export function replyOf(batch: ReplyBatch, verdict: Verdict, finishedAt: Date): Reply {
  return {
    replyId: `${batch.id}/${batch.dryRun ? 'dry-run/' : ''}${verdict.state}`,
    batchId: batch.id,
    correlationId: batch.correlationId,
    state: verdict.state,
    dryRun: batch.dryRun,
    source: batch.source,
    rows: verdict.rows,
    chunks: verdict.chunks,
    digest: verdict.digest && digestHex(verdict.digest),
    error: toldError(verdict),
    errors: verdict.errors,
    links: batchLinks(batch.id, batch.dryRun),
    createdAt: batch.createdAt.toISOString(),
    finishedAt: finishedAt.toISOString(),
  }
}

/** The same in the ledger and in the reply. It may quote what was sent, whatever that is. */
const toldError = ({ error }: Verdict): BatchError | null => error && { ...error, message: storable(error.message) }

/** Puts a reply into the outbox, once for each reply id and topic. */
export async function enqueueReply(
  db: Pick<pg.Pool, 'query'>,
  reply: Reply,
  topic: string,
  traceparent: string | null,
): Promise<void> {
  await db.query({
    name: 'enqueue-reply',
    text: `insert into outbox (reply_id, topic, batch_id, correlation_id, traceparent, body)
      values ($1, $2, $3, $4, $5, $6) on conflict (reply_id, topic) do nothing`,
    values: [reply.replyId, topic, reply.batchId, reply.correlationId, traceparent, JSON.stringify(reply)].map(
      (value) => value && storable(value),
    ),
  })
}

const FINISH = `
update batches set state = $2, finished_at = $3, chunks_expected = $4, rows_accepted = $5, rows_rejected = $6, digest = $7,
  error = $8
where no = $1 and state = 'open'`

/**
 * Gives an open batch its outcome and its sender the reply, in the caller's transaction, which holds the row
 * `for update`. What was loaded of a batch that did not succeed stays hidden until it is purged.
 */
export async function finishBatch(
  client: pg.ClientBase,
  batch: LedgerBatch,
  verdict: Verdict,
  settings: ReplySettings,
): Promise<void> {
  const finishedAt = new Date()
  const { rowCount } = await client.query({
    name: 'finish-batch',
    text: FINISH,
    values: [batch.no, ...outcomeValues(verdict, finishedAt)],
  })
  if (rowCount !== 1) throw new Error(`batch ${batch.id} was not open`)
  const reply = replyOf(batch, verdict, finishedAt)
  await tellOutcome(client, batch.no, reply, batch, settings)
}

/** Puts what an outcome's reply goes out by beside it: the outbox, and a webhook if it is to have one. */
export async function tellOutcome(
  client: pg.ClientBase,
  batchNo: bigint,
  reply: Reply,
  { replyTo, traceparent }: Pick<LedgerBatch, 'replyTo' | 'traceparent'>,
  settings: ReplySettings,
): Promise<void> {
  await enqueueReply(client, reply, replyTopic(replyTo, settings), traceparent)
  await enqueueWebhook(client, batchNo, reply, settings.webhooks)
}

/** state, finished_at, chunks_expected, rows_accepted, rows_rejected, digest, error. */
export function outcomeValues(verdict: Verdict, finishedAt: Date): unknown[] {
  const error = toldError(verdict)
  return [
    verdict.state,
    finishedAt,
    verdict.chunks,
    verdict.rows.accepted,
    verdict.rows.rejected,
    verdict.digest && Buffer.from(verdict.digest),
    error && JSON.stringify(error),
  ]
}
