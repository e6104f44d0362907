import { type BatchError } from '@rates/core/batch'
import { idByPlace } from '@rates/core/wire'
import { failpoint } from '@rates/service/failpoints'
import { type IncomingRecord } from '@rates/service/kafka'
import { endEarlyIn } from '@rates/service/ledger/end-early'
import { type ReplySettings } from '@rates/service/ledger/finish'
import { withTransaction } from '@rates/service/postgres'
import type pg from 'pg'
import { type IncomingObject } from './incoming.ts'
import { bindIn, type Bound } from './object-bind.ts'
import { type CreatedObject } from './object-events.ts'
import { holdRequest, insertRequests, lockObject, type ObjectRequest, type RequestRow } from './object-row.ts'

export interface IntakeSettings {
  replies: ReplySettings
  /** The buckets whose objects may become batches. */
  buckets: readonly string[]
}

/** What became of a claim. `noted`: its batch shows once a loader has looked at the object; `same`: it had its row. */
export type Taken = Bound | { kind: 'noted' } | { kind: 'same' }

export const claimed = (record: IncomingRecord, { headers, claim }: IncomingObject): ObjectRequest => ({
  place: idByPlace(record),
  origin: 'claim',
  at: new Date(record.timestamp),
  claim,
  headers: { ...headers, deadline: headers.deadline && new Date(headers.deadline).toISOString() },
})

export const notified = (record: IncomingRecord, { index, ...claim }: CreatedObject): ObjectRequest => ({
  place: `${idByPlace(record)}:${index}`.slice(-128),
  origin: 'event',
  at: new Date(record.timestamp),
  claim,
  headers: {},
})

/**
 * Notes in one transaction that an object is claimed, for a loader to find; opens its batch, where the claim says which
 * one that is. The store is not asked here: nobody waits for one that is away. A record that comes again finds the row of
 * its place and does nothing.
 */
export async function takeObject(pool: pg.Pool, request: ObjectRequest, settings: IntakeSettings): Promise<Taken> {
  const taken = await withTransaction(pool, async (client): Promise<Taken> => {
    await lockObject(client, request.claim)
    const [row] = await insertRequests(client, [request])
    if (!row) return { kind: 'same' }
    const failure = bucketFault(request.claim.bucket, settings)
    return failure || saysItsBatch(row) ? bindIn(client, row, failure, settings.replies) : { kind: 'noted' }
  })
  failpoint('noted-object')
  return taken
}

/**
 * Notes in one transaction what a store tells of: what it says of its batch stands in its metadata, which the store has.
 * @returns how many were not known
 */
export async function noteObjects(pool: pg.Pool, requests: readonly ObjectRequest[]): Promise<number> {
  const rows = await withTransaction(pool, (client) => insertRequests(client, requests))
  failpoint('noted-object')
  return rows.length
}

/** The batch of a request whose record ends its workers fails, whatever they got done. */
export function failObject(
  pool: pg.Pool,
  request: ObjectRequest,
  error: BatchError,
  { replies }: Pick<IntakeSettings, 'replies'>,
): Promise<Taken> {
  return withTransaction(pool, async (client): Promise<Taken> => {
    await lockObject(client, request.claim)
    const [inserted] = await insertRequests(client, [request])
    const row = inserted ?? (await holdRequest(client, request))
    if (!row || row.repeats) return { kind: 'same' }
    if (row.batchNo === null) return bindIn(client, row, error, replies)
    await endEarlyIn(client, row.batchNo, 'failed', error, replies)
    return { kind: 'same' }
  })
}

const saysItsBatch = ({ headers, etag }: RequestRow): boolean => headers.batchId !== undefined || etag !== null

function bucketFault(bucket: string, { buckets }: IntakeSettings): BatchError | undefined {
  if (buckets.includes(bucket)) return undefined
  const message = `${bucket} is not one of the buckets that are loaded (OBJECT_BUCKETS)`
  return { code: 'bucket_not_allowed', message }
}
