import { type BatchError } from '@rates/core/batch'
import { type BatchHeaders } from '@rates/core/wire'
import { differentHeader } from '@rates/service/ledger/batch-headers'
import { endEarlyIn } from '@rates/service/ledger/end-early'
import { enqueueReply, replyTopic, type ReplySettings } from '@rates/service/ledger/finish'
import { BATCH_COLUMNS, openBatch, type LedgerBatch } from '@rates/service/ledger/open'
import { addressOf, type ObjectVersion } from '@rates/service/object-store'
import { withTransaction } from '@rates/service/postgres'
import type pg from 'pg'
import { refusalOf } from './dead-letters.ts'
import { readObjectMetadata, type RequestHeaders } from './object-metadata.ts'
import { batchIdOf, holdRequest, loadOf, type RequestRow } from './object-row.ts'
import { replyAgain } from './reply-again.ts'

/** What became of a request for an object. */
export type Bound =
  /** It has its batch, which was open when it was opened: to be loaded. */
  | { kind: 'load'; batch: LedgerBatch; headers: BatchHeaders }
  /** The object is a batch already: there is nothing to be done. */
  | { kind: 'repeat' }
  /** It cannot be loaded: its batch has failed. */
  | { kind: 'failed'; batch: LedgerBatch; error: BatchError }
  /** The batch that has its id is another one. Nothing was kept of the request. */
  | { kind: 'conflict'; batchId: string; detail: string }

export interface BindSettings {
  replies: ReplySettings
}

/**
 * Gives a request that did not say which batch it is its batch, once its object was looked at; harmless to repeat.
 * @param found undefined where the object cannot be had (any more) as it was asked for: then its batch is opened to fail
 */
export function bindLoad(
  pool: pg.Pool,
  no: bigint,
  found: ObjectVersion | undefined,
  { replies }: BindSettings,
): Promise<Bound> {
  return withTransaction(pool, async (client) => {
    const row = await holdRequest(client, { no })
    // It was a conflict, and is gone: the answer to that COMMIT was lost.
    if (!row || row.repeats) return { kind: 'repeat' }
    if (row.batchNo !== null) return boundBefore(client, row.batchNo, row.headers)
    const seen = found ? await noteObject(client, row, found) : row
    const { headers, fault } =
      row.origin === 'event' && found ? readObjectMetadata(found.metadata) : { headers: row.headers, fault: undefined }
    const failure = fault === undefined ? undefined : ({ code: 'object_unreadable', message: fault } as const)
    const bound = await bindIn(client, { ...seen, headers }, failure, replies)
    if (bound.kind === 'conflict') await replyConflict(client, { ...seen, headers }, bound, replies)
    return bound
  })
}

const LATE = `
select no from object_loads
where batch_no is null and state in ('waiting', 'loading') and headers ->> 'deadline' < $1 collate "C"
  and coalesce(headers ->> 'onDeadline', 'fail') = 'fail'
order by no limit 100`

/** Opens the batches of requests whose deadline passed before anybody could look at their objects: to fail, as late. */
export async function bindLate(pool: pg.Pool, settings: BindSettings): Promise<void> {
  // As text: requests have their deadlines in this form.
  const { rows } = await pool.query<{ no: bigint }>(LATE, [new Date().toISOString()])
  for (const { no } of rows) await bindLoad(pool, no, undefined, settings)
}

async function boundBefore(client: pg.ClientBase, batchNo: bigint, headers: RequestHeaders): Promise<Bound> {
  const { rows } = await client.query<LedgerBatch>(`select ${BATCH_COLUMNS} from batches where no = $1`, [batchNo])
  const batch = rows[0]!
  return { kind: 'load', batch, headers: { ...headers, batchId: batch.id } }
}

/** From now on it is this version that is asked for. */
async function noteObject(client: pg.ClientBase, row: RequestRow, found: ObjectVersion): Promise<RequestRow> {
  const { etag, size, versionId = null } = found
  await client.query(
    'update object_loads set etag = $2, size = $3, version_id = coalesce(version_id, $4) where no = $1',
    [row.no, etag, size, versionId],
  )
  return { ...row, etag, versionId: row.versionId ?? versionId }
}

/**
 * Opens the batch of a request, or finds the one that has its id, in the caller's transaction, which has inserted the
 * row or holds it.
 * @param failure why it is not to be loaded
 */
export async function bindIn(
  client: pg.ClientBase,
  row: RequestRow,
  failure: BatchError | undefined,
  replies: ReplySettings,
): Promise<Bound> {
  const headers: BatchHeaders = { ...row.headers, batchId: batchIdOf(row) }
  const error = failure ?? replyToFault(headers, replies)
  const { batch, opened } = await openBatch(client, headers, null, row.requestedAt)
  // A bucket that is not ours is not touched, and a dry run leaves no trace.
  const mayTag = error?.code !== 'bucket_not_allowed' && !batch.dryRun
  if (opened) {
    await client.query('update object_loads set batch_no = $2, headers = $3 where no = $1', [
      row.no,
      batch.no,
      JSON.stringify(headers),
    ])
    if (!error) return { kind: 'load', batch, headers }
    await endEarlyIn(client, batch.no, 'failed', error, replies)
    await client.query(`update object_loads set ${ENDED} where no = $1`, [row.no, mayTag])
    return { kind: 'failed', batch, error }
  }
  const detail = contradiction(batch, await loadOf(client, batch.no), row, headers)
  if (detail !== undefined) {
    await client.query('delete from object_loads where no = $1', [row.no])
    return { kind: 'conflict', batchId: batch.id, detail }
  }
  const ended = batch.state !== 'open'
  await client.query(`update object_loads set batch_no = $3, repeats = true, ${ENDED} where no = $1`, [
    row.no,
    mayTag && ended,
    batch.no,
  ])
  if (ended) await replyAgain(client, batch)
  return { kind: 'repeat' }
}

const ENDED = `state = 'ended', ended_at = clock_timestamp(), tag_at = case when $2 then clock_timestamp() end`

function replyToFault({ replyTo }: BatchHeaders, { allowed }: ReplySettings): BatchError | undefined {
  if (replyTo === undefined || allowed.includes(replyTo)) return undefined
  const message = `reply-to ${replyTo} is not one of the allowed topics; the reply is here`
  return { code: 'reply_to_not_allowed', message }
}

/** How a request differs from the batch that has its id, if it does. What one of them leaves open is no difference. */
function contradiction(
  batch: LedgerBatch,
  load: RequestRow | undefined,
  row: RequestRow,
  headers: BatchHeaders,
): string | undefined {
  if (!load) {
    // A cancellation may come first, and names the batch alone.
    return batch.state === 'cancelled' ? undefined : 'it is an object; the batch came in chunks'
  }
  const says = (what: string, sent: unknown, known: unknown): string =>
    `its ${what} is ${JSON.stringify(sent)}; the batch has ${JSON.stringify(known)}`
  const [sent, known] = [addressOf(row), addressOf(load)]
  if (sent !== known) return says('object', sent, known)
  // The same content is the same object, whatever version it is.
  const pins = row.etag !== null && load.etag !== null ? (['etag'] as const) : (['versionId'] as const)
  for (const name of [...pins, 'sha256', 'contentType', 'contentEncoding'] as const) {
    const [a, b] = [textOf(row[name]), textOf(load[name])]
    if (a !== null && b !== null && a !== b) return says(name, a, b)
  }
  // A notification says nothing of the batch that a claim could not say otherwise.
  const header = row.origin === 'claim' ? differentHeader(batch, headers) : undefined
  return header && says(`header ${header.name}`, header.sent, header.known)
}

const textOf = (value: string | Buffer | null): string | null =>
  Buffer.isBuffer(value) ? value.toString('hex') : value

/** Its record is out of our hands: it is no dead letter, but its sender is told. */
async function replyConflict(
  client: pg.ClientBase,
  { place, requestedAt, headers }: RequestRow,
  { batchId, detail }: Extract<Bound, { kind: 'conflict' }>,
  replies: ReplySettings,
): Promise<void> {
  const { correlationId = null, dryRun = false, source = null, replyTo, traceparent = null } = headers
  const about = { place, at: requestedAt, correlationId, dryRun, source }
  const reply = refusalOf(about, batchId, 'id_conflict', 'id_conflict', detail)
  await enqueueReply(client, reply, replyTopic(replyTo, replies), traceparent)
}
