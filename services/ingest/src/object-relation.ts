import { type BatchHeaders } from '@rates/core/wire'
import { differentHeader } from '@rates/service/ledger/batch-headers'
import { BATCH_COLUMNS, type LedgerBatch } from '@rates/service/ledger/open'
import { addressOf } from '@rates/service/object-store'
import type pg from 'pg'
import { type RequestRow } from './object-row.ts'

// What a request for an object is to the batches that are there.

const SAME = `
select ${BATCH_COLUMNS} from batches where no = (
  select l.batch_no from object_loads l join batches b on b.no = l.batch_no
  where l.bucket = $1 and l.object_key = $2 and not l.repeats and not b.dry_run and b.state not in ('failed', 'cancelled')
    and (l.etag = $3 or ($4 and l.etag is null and (l.version_id is null or l.version_id = $5)))
  order by b.id = $6 desc, l.etag is null, l.no limit 1)`

/**
 * The batch that a request's object is already, or becomes: not one that failed, nor a dry run.
 * @param seen it was looked at: what a claim that pins no version asks for is what there is
 */
export async function batchOfObject(
  client: pg.ClientBase,
  { bucket, key, etag, versionId }: RequestRow,
  batchId: string,
  seen: boolean,
): Promise<LedgerBatch | undefined> {
  if (etag === null) return undefined
  const { rows } = await client.query<LedgerBatch>(SAME, [bucket, key, etag, seen, versionId, batchId])
  return rows[0]
}

/** How a request differs from the batch that has its id, if it does. What one of them leaves open is no difference. */
export function contradiction(
  batch: LedgerBatch,
  load: RequestRow,
  row: RequestRow,
  headers: BatchHeaders,
): string | undefined {
  const [sent, known] = [addressOf(row), addressOf(load)]
  if (sent !== known) return says('object', sent, known)
  // The same content is the same object, whatever version it is.
  const pins = row.etag !== null && load.etag !== null ? (['etag'] as const) : (['versionId'] as const)
  for (const name of [...pins, 'sha256', 'contentType', 'contentEncoding'] as const) {
    const [a, b] = [textOf(row[name]), textOf(load[name])]
    if (a !== null && b !== null && a !== b) return says(name, a, b)
  }
  const isUnchecked = row.sha256 !== null && load.sha256 === null && !canStillBeTold(load)
  if (isUnchecked && ['open', 'succeeded'].includes(batch.state)) {
    return `its sha256 is ${textOf(row.sha256)}; the batch is loaded without it being checked`
  }
  // A notification says nothing of the batch that a claim could not say otherwise.
  return row.origin === 'claim' ? headerContradiction(batch, headers) : undefined
}

export function headerContradiction(batch: LedgerBatch, headers: BatchHeaders): string | undefined {
  const header = differentHeader(batch, headers)
  return header && says(`header ${header.name}`, header.sent, header.known)
}

/** What a repetition says of the object and the first request left open holds for the load that there will be. */
export async function tellLoad(client: pg.ClientBase, load: RequestRow, row: RequestRow): Promise<void> {
  // Who loads it has to pin it before it reads, and finds the pin then: see bindLoad.
  if (load.etag === null && row.etag !== null && load.state !== 'ended') {
    await client.query('update object_loads set etag = $2 where no = $1', [load.no, row.etag])
  }
  if (!canStillBeTold(load)) return
  await client.query(
    `update object_loads set version_id = coalesce(version_id, $2), sha256 = coalesce(sha256, $3),
       content_type = coalesce(content_type, $4), content_encoding = coalesce(content_encoding, $5) where no = $1`,
    [load.no, load.etag === null ? row.versionId : null, row.sha256, row.contentType, row.contentEncoding],
  )
}

/** No loader has it in hand, and none has sent a part of it. */
const canStillBeTold = ({ state, chunksSent }: RequestRow): boolean => state === 'waiting' && chunksSent === 0

const says = (what: string, sent: unknown, known: unknown): string =>
  `its ${what} is ${JSON.stringify(sent)}; the batch has ${JSON.stringify(known)}`

const textOf = (value: string | Buffer | null): string | null =>
  Buffer.isBuffer(value) ? value.toString('hex') : value
