import { type Reply } from '@rates/core/batch'
import { type BatchHeaders } from '@rates/core/wire'
import { failpoint } from '@rates/service/failpoints'
import { type IncomingRecord } from '@rates/service/kafka'
import { batchLinks, enqueueReply, replyTopic, type ReplySettings } from '@rates/service/ledger/finish'
import { revertIn, type Reverted } from '@rates/service/ledger/revert'
import { digestHex } from '@rates/core/digest'
import { withTransaction } from '@rates/service/postgres'
import type pg from 'pg'

export interface RevertSettings {
  windowDays: number
  replies: ReplySettings
}

/**
 * A `control: revert` is a request of its own, with a reply of its own: its id is made of the record's place, and stands
 * in the outbox since the transaction that did what it tells. A record that comes again, after a crash or by a replay of
 * the topic, finds its reply there and does nothing, whatever became of the batch since.
 * @returns the reply, or undefined if it was given before
 */
export async function revertByRecord(
  pool: pg.Pool,
  record: IncomingRecord,
  request: BatchHeaders,
  { windowDays, replies }: RevertSettings,
): Promise<Reply | undefined> {
  const reply = await answerOnce(pool, record, request, replies, async (client) => {
    const reverted = await revertIn(client, request.batchId, request.dryRun ?? false, windowDays)
    return replyOf(record, request, reverted)
  })
  failpoint('after-revert')
  return reply
}

/** The record ended its workers: its sender is told so, unless one of them got as far as to answer. */
export function refuseRevert(
  pool: pg.Pool,
  record: IncomingRecord,
  request: BatchHeaders,
  message: string,
  replies: ReplySettings,
): Promise<Reply | undefined> {
  const error = { code: 'internal_error', message }
  return answerOnce(pool, record, request, replies, () =>
    Promise.resolve({ ...replyTo(record, request), state: 'revert_refused', error }),
  )
}

async function answerOnce(
  pool: pg.Pool,
  record: IncomingRecord,
  request: BatchHeaders,
  replies: ReplySettings,
  act: (client: pg.ClientBase) => Promise<Reply>,
): Promise<Reply | undefined> {
  const id = replyId(record, request)
  return withTransaction(pool, async (client) => {
    // A worker that lost the partition may still be at it: only one of them looks, acts and answers at a time.
    await client.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [id])
    // On whatever topic: the list of allowed ones may have changed.
    const { rowCount } = await client.query('select from outbox where reply_id = $1', [id])
    if (rowCount !== 0) return undefined
    const reply = await act(client)
    await enqueueReply(client, reply, replyTopic(request.replyTo, replies), request.traceparent ?? null)
    return reply
  })
}

const replyId = ({ topic, partition, offset }: IncomingRecord, { batchId, dryRun }: BatchHeaders): string =>
  `${batchId}/${dryRun ? 'dry-run/' : ''}revert/${topic}-${partition}-${offset}`

/** What every answer to the record has. */
function replyTo(record: IncomingRecord, request: BatchHeaders) {
  const { batchId, correlationId = null, dryRun = false } = request
  return {
    replyId: replyId(record, request),
    batchId,
    correlationId,
    dryRun,
    source: null as string | null,
    rows: { accepted: 0, rejected: 0 },
    chunks: null as number | null,
    digest: null as string | null,
    errors: [],
    links: batchLinks(batchId, dryRun),
    createdAt: new Date(record.timestamp).toISOString(),
    finishedAt: new Date().toISOString(),
  }
}

/** Tells what the ledger has of the batch. */
function replyOf(record: IncomingRecord, request: BatchHeaders, reverted: Reverted): Reply {
  const common = replyTo(record, request)
  const { batch } = reverted
  const told = batch && {
    source: batch.source,
    rows: { accepted: batch.accepted ?? 0, rejected: batch.rejected ?? 0 },
    chunks: batch.chunksExpected,
    digest: batch.digest && digestHex(batch.digest),
    createdAt: batch.createdAt.toISOString(),
  }
  if (reverted.kind === 'reverted') {
    const finishedAt = reverted.batch.hiddenAt.toISOString()
    return { ...common, ...told, state: 'reverted', error: null, finishedAt }
  }
  const { code, message } = reverted
  return { ...common, ...told, state: 'revert_refused', error: { code, message } }
}
