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
import { holdRequest, insertRequest, type ObjectRequest, type RequestRow } from './object-row.ts'

export interface IntakeSettings {
  replies: ReplySettings
  /** The buckets whose objects may become batches. */
  buckets: readonly string[]
}

/** What became of a request for an object. `noted`: its batch shows once a loader has looked at the object. */
export type Taken = Bound | { kind: 'noted' } | { kind: 'same' }

export const claimed = (record: IncomingRecord, { headers, claim }: IncomingObject): ObjectRequest => ({
  place: idByPlace(record),
  origin: 'claim',
  at: new Date(record.timestamp),
  claim,
  headers: { ...headers, deadline: headers.deadline && new Date(headers.deadline).toISOString() },
})

/** @param i of the object in its notification */
export const notified = (record: IncomingRecord, i: number, claim: CreatedObject): ObjectRequest => ({
  place: `${idByPlace(record)}:${i}`.slice(-128),
  origin: 'event',
  at: new Date(record.timestamp),
  claim,
  headers: {},
})

/**
 * Notes in one transaction that an object is asked for, for a loader to find; opens its batch, where the request says
 * which one that is. The store is not asked here: nobody waits for one that is away. A record that comes again finds
 * the row of its place and does nothing.
 */
export async function takeObject(pool: pg.Pool, request: ObjectRequest, settings: IntakeSettings): Promise<Taken> {
  const taken = await withTransaction(pool, async (client): Promise<Taken> => {
    const row = await insertRequest(client, request)
    if (!row) return { kind: 'same' }
    const failure = bucketFault(request.claim.bucket, settings)
    return failure || saysItsBatch(row) ? bindIn(client, row, failure, settings.replies) : { kind: 'noted' }
  })
  failpoint('noted-object')
  return taken
}

/** The batch of a request whose record ends its workers fails, whatever they got done. */
export function failObject(
  pool: pg.Pool,
  request: ObjectRequest,
  error: BatchError,
  { replies }: Pick<IntakeSettings, 'replies'>,
): Promise<Taken> {
  return withTransaction(pool, async (client): Promise<Taken> => {
    const row = (await insertRequest(client, request)) ?? (await holdRequest(client, request))
    if (!row || row.repeats) return { kind: 'same' }
    if (row.batchNo === null) return bindIn(client, row, error, replies)
    await endEarlyIn(client, row.batchNo, 'failed', error, replies)
    return { kind: 'same' }
  })
}

/** What a notification's object says of its batch stands in its metadata, which the store has. */
const saysItsBatch = ({ origin, headers, etag }: RequestRow): boolean =>
  origin === 'claim' && (headers.batchId !== undefined || etag !== null)

function bucketFault(bucket: string, { buckets }: IntakeSettings): BatchError | undefined {
  if (buckets.includes(bucket)) return undefined
  const message = `${bucket} is not one of the buckets that are loaded (OBJECT_BUCKETS)`
  return { code: 'bucket_not_allowed', message }
}
