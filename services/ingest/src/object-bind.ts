import { type BatchError } from '@rates/core/batch'
import { type BatchHeaders } from '@rates/core/wire'
import { headersOf } from '@rates/service/ledger/batch-headers'
import { endEarlyIn } from '@rates/service/ledger/end-early'
import { enqueueReply, replyTopic, type ReplySettings } from '@rates/service/ledger/finish'
import { BATCH_COLUMNS, openBatch, type LedgerBatch } from '@rates/service/ledger/open'
import { type Logger } from '@rates/service/log'
import { type ObjectVersion } from '@rates/service/object-store'
import { withTransaction } from '@rates/service/postgres'
import type pg from 'pg'
import { refusalOf } from './dead-letters.ts'
import { type IngestMetrics } from './metrics.ts'
import { OtherObject } from './object-content.ts'
import { readObjectMetadata, type RequestHeaders } from './object-metadata.ts'
import { batchOfObject, contradiction, headerContradiction, tellLoad } from './object-relation.ts'
import { batchIdOf, holdRequest, loadOf, lockObject, namesItsBatch, type RequestRow } from './object-row.ts'
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
 * Gives a request that did not say which batch it is its batch, once its object was looked at, and pins what was found;
 * harmless to repeat.
 * @param found undefined where the object cannot be had (any more) as it was asked for: then its batch is opened to fail
 * @throws OtherObject where another request has told meanwhile which one it is, and it is not the one that was found
 */
export function bindLoad(
  pool: pg.Pool,
  no: bigint,
  found: ObjectVersion | undefined,
  { replies }: BindSettings,
): Promise<Bound> {
  return withTransaction(pool, async (client) => {
    const row = await holdObjectOf(client, no)
    // It was a conflict, and is gone: the answer to that COMMIT was lost.
    if (!row || row.repeats) return { kind: 'repeat' }
    const seen = found ? await noteObject(client, row, found) : row
    if (row.batchNo !== null) return boundBefore(client, row.batchNo, row.headers)
    const { headers, fault } =
      row.origin === 'event' && found ? readObjectMetadata(found.metadata) : { headers: row.headers, fault: undefined }
    const failure = fault === undefined ? undefined : ({ code: 'object_unreadable', message: fault } as const)
    const bound = await bindIn(client, { ...seen, headers }, failure, replies, found !== undefined)
    if (bound.kind === 'conflict') await replyConflict(client, { ...seen, headers }, bound, replies)
    return bound
  })
}

/** The row of a request, and its object, held until the transaction ends. @returns undefined if it is gone */
export async function holdObjectOf(client: pg.ClientBase, no: bigint): Promise<RequestRow | undefined> {
  const { rows } = await client.query<{ bucket: string; key: string }>(
    'select bucket, object_key as key from object_loads where no = $1',
    [no],
  )
  if (!rows[0]) return undefined
  await lockObject(client, rows[0])
  return holdRequest(client, { no })
}

const LATE = `
select no from object_loads
where batch_no is null and state in ('waiting', 'loading') and headers ->> 'deadline' < $1 collate "C"
  and coalesce(headers ->> 'onDeadline', 'fail') = 'fail'
order by no limit 100`

/**
 * Opens the batches of requests whose deadline passed before anybody could look at their objects: to fail, as late. One
 * that cannot be opened keeps back no other.
 */
export async function bindLate(
  pool: pg.Pool,
  settings: BindSettings,
  metrics: Pick<IngestMetrics, 'objectRequests'>,
  log: Logger,
): Promise<void> {
  // As text: requests have their deadlines in this form.
  const { rows } = await pool.query<{ no: bigint }>(LATE, [new Date().toISOString()])
  for (const { no } of rows) {
    const load = String(no)
    try {
      const bound = await bindLoad(pool, no, undefined, settings)
      if (bound.kind === 'conflict') tellConflict(bound, metrics, log.child({ load }))
    } catch (error) {
      log.error({ err: error, load }, 'could not open the batch of an object that is late')
    }
  }
}

/** Nothing is kept of such a request: its sender has the reply, and we the log. */
export function tellConflict(
  { batchId, detail }: Extract<Bound, { kind: 'conflict' }>,
  metrics: Pick<IngestMetrics, 'objectRequests'>,
  log: Logger,
): void {
  metrics.objectRequests.inc({ outcome: 'conflict' })
  log.warn({ batch_id: batchId, reason: 'id_conflict', detail }, 'request for an object dropped')
}

async function boundBefore(client: pg.ClientBase, batchNo: bigint, headers: RequestHeaders): Promise<Bound> {
  const { rows } = await client.query<LedgerBatch>(`select ${BATCH_COLUMNS} from batches where no = $1`, [batchNo])
  const batch = rows[0]!
  return { kind: 'load', batch, headers: { ...headers, batchId: batch.id } }
}

/** From now on it is this version that is asked for. */
async function noteObject(client: pg.ClientBase, row: RequestRow, found: ObjectVersion): Promise<RequestRow> {
  const { etag, size, versionId = null } = found
  if (row.etag !== null && row.etag !== etag) throw new OtherObject(row.etag, etag)
  await client.query(
    'update object_loads set etag = $2, size = $3, version_id = coalesce(version_id, $4) where no = $1',
    [row.no, etag, size, versionId],
  )
  return { ...row, etag, versionId: row.versionId ?? versionId }
}

/**
 * Opens the batch of a request, or finds the one that has its id or is its object, in the caller's transaction, which
 * holds the object, and has inserted the row or holds it.
 * @param failure why it is not to be loaded
 * @param seen its object was looked at, and the row says what it is
 */
export async function bindIn(
  client: pg.ClientBase,
  row: RequestRow,
  failure: BatchError | undefined,
  replies: ReplySettings,
  seen = false,
): Promise<Bound> {
  const headers: BatchHeaders = { ...row.headers, batchId: batchIdOf(row) }
  // A bucket that is not ours is not touched.
  const mayTag = failure?.code !== 'bucket_not_allowed'
  const other = await otherBatch(client, row, headers, seen)
  if (other && row.origin === 'event') return repeat(client, row, other, mayTag)
  if (other) return conflict(client, row, headers.batchId, `its object is the batch ${other.id} already`)
  const error = failure ?? replyToFault(headers, replies)
  const { batch, opened } = await openBatch(client, headers, null, row.requestedAt)
  if (opened) return begin(client, row, batch, headers, error, replies)
  const load = await loadOf(client, batch.no)
  const detail = load ? contradiction(batch, load, row, headers) : await usedUp(client, batch, row, headers)
  if (detail !== undefined) return conflict(client, row, batch.id, detail)
  if (load || batch.state === 'cancelled') return repeat(client, row, batch, mayTag)
  // As its chunks have them: a notification does not know what a claim had said.
  return begin(client, row, batch, headersOf(batch), error, replies)
}

/** That the object is already, under an id that this request does not ask for. */
async function otherBatch(
  client: pg.ClientBase,
  row: RequestRow,
  { batchId, dryRun }: BatchHeaders,
  seen: boolean,
): Promise<LedgerBatch | undefined> {
  if (dryRun || (row.origin === 'claim' && namesItsBatch(row))) return undefined
  const same = await batchOfObject(client, row, batchId, seen && row.origin === 'event')
  return same?.id === batchId ? undefined : same
}

/** The request is the one that its batch is loaded for. */
async function begin(
  client: pg.ClientBase,
  row: RequestRow,
  batch: LedgerBatch,
  headers: BatchHeaders,
  error: BatchError | undefined,
  replies: ReplySettings,
): Promise<Bound> {
  await client.query('update object_loads set batch_no = $2, headers = $3 where no = $1', [
    row.no,
    batch.no,
    JSON.stringify(headers),
  ])
  // A dry run leaves no trace.
  const mayTag = error?.code !== 'bucket_not_allowed' && !batch.dryRun
  const end = `update object_loads set ${ENDED} where no = $1`
  if (batch.state !== 'open') {
    await client.query(end, [row.no, mayTag])
    await replyAgain(client, batch)
    return { kind: 'repeat' }
  }
  if (!error) return { kind: 'load', batch, headers }
  await endEarlyIn(client, batch.no, 'failed', error, replies)
  await client.query(end, [row.no, mayTag])
  return { kind: 'failed', batch, error }
}

/** The request is for a batch that is there, which another one is loaded for. */
async function repeat(client: pg.ClientBase, row: RequestRow, batch: LedgerBatch, mayTag: boolean): Promise<Bound> {
  const load = await loadOf(client, batch.no)
  if (load) await tellLoad(client, load, row)
  const ended = batch.state !== 'open'
  await client.query(`update object_loads set batch_no = $3, repeats = true, ${ENDED} where no = $1`, [
    row.no,
    ended && mayTag && !batch.dryRun,
    batch.no,
  ])
  if (ended) await replyAgain(client, batch)
  return { kind: 'repeat' }
}

/** Nothing is kept of the request. */
async function conflict(client: pg.ClientBase, row: RequestRow, batchId: string, detail: string): Promise<Bound> {
  await client.query('delete from object_loads where no = $1', [row.no])
  return { kind: 'conflict', batchId, detail }
}

/**
 * Why the batch that has a request's id, and that nobody asked an object for, is not the request's, if it is not. After
 * the ledger was restored, chunks that a loader had sent may come before the request that it had sent them for. They are
 * younger than it; an id that is made of the object is nobody else's. A cancellation may come first, and names the batch
 * alone.
 */
async function usedUp(
  client: pg.ClientBase,
  batch: LedgerBatch,
  row: RequestRow,
  headers: BatchHeaders,
): Promise<string | undefined> {
  // One request at a time begins it: another object's has another lock.
  await client.query('select from batches where no = $1 for update', [batch.no])
  if (await loadOf(client, batch.no)) return 'its id was taken by another object at the same moment'
  if (batch.state === 'cancelled') return undefined
  const failed = batch.state === 'failed'
  if (batch.createdAt < row.requestedAt && (namesItsBatch(row) || (failed && row.origin === 'claim'))) {
    return failed ? 'its id is used up: the batch that has it has failed' : 'it is an object; the batch came in chunks'
  }
  return row.origin === 'claim' ? headerContradiction(batch, headers) : undefined
}

const ENDED = `state = 'ended', ended_at = clock_timestamp(), tag_at = case when $2 then clock_timestamp() end`

function replyToFault({ replyTo }: BatchHeaders, { allowed }: ReplySettings): BatchError | undefined {
  if (replyTo === undefined || allowed.includes(replyTo)) return undefined
  const message = `reply-to ${replyTo} is not one of the allowed topics; the reply is here`
  return { code: 'reply_to_not_allowed', message }
}

/** Its record is out of our hands: it is no dead letter, but its sender is told. */
export async function replyConflict(
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
