import { type ObjectClaim } from '@rates/core/object-claim'
import { objectBatchId } from '@rates/service/object-batch-id'
import type pg from 'pg'
import { type RequestHeaders } from './object-metadata.ts'

/** Somebody asks for an object to become a batch. */
export interface ObjectRequest {
  /** Of its record (and its place in the record, where that tells of several): one request, one row. */
  place: string
  origin: 'claim' | 'event'
  at: Date
  claim: ObjectClaim
  headers: RequestHeaders
}

/** Its row in object_loads, as far as it says which object and which batch it is. */
export interface RequestRow {
  no: bigint
  place: string
  origin: 'claim' | 'event'
  requestedAt: Date
  batchNo: bigint | null
  repeats: boolean
  state: 'waiting' | 'loading' | 'sent' | 'ended'
  bucket: string
  key: string
  versionId: string | null
  etag: string | null
  sha256: Buffer | null
  contentType: string | null
  contentEncoding: string | null
  chunksSent: number
  headers: RequestHeaders
}

const COLUMNS = `no, place, origin, requested_at as "requestedAt", batch_no as "batchNo", repeats, state, bucket, object_key as "key",
  version_id as "versionId", etag, sha256, content_type as "contentType", content_encoding as "contentEncoding",
  chunks_sent as "chunksSent", headers`

/**
 * Until the transaction ends, nobody else makes an object a batch, or pins what one is. Before rows of it are held: who
 * holds them waits for nobody who waits for them.
 */
export async function lockObject(
  client: pg.ClientBase,
  { bucket, key }: { bucket: string; key: string },
): Promise<void> {
  const name = JSON.stringify(['rates-object', bucket, key])
  await client.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [name])
}

const INSERT = `
insert into object_loads (place, origin, requested_at, bucket, object_key, version_id, etag, sha256, content_type,
  content_encoding, headers)
select * from unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[],
  $9::text[], $10::text[], $11::jsonb[])
on conflict (place) do nothing
returning ${COLUMNS}`

/** @returns the rows of those that had none yet */
export async function insertRequests(client: pg.ClientBase, requests: readonly ObjectRequest[]): Promise<RequestRow[]> {
  const column = (value: (request: ObjectRequest) => unknown): unknown[] => requests.map(value)
  const { rows } = await client.query<RequestRow>(INSERT, [
    column(({ place }) => place),
    column(({ origin }) => origin),
    column(({ at }) => at),
    column(({ claim }) => claim.bucket),
    column(({ claim }) => claim.key),
    column(({ claim }) => claim.versionId ?? null),
    column(({ claim }) => claim.etag ?? null),
    column(({ claim }) => (claim.sha256 === undefined ? null : Buffer.from(claim.sha256, 'hex'))),
    column(({ claim }) => claim.contentType ?? null),
    column(({ claim }) => claim.contentEncoding ?? null),
    column(({ headers }) => JSON.stringify(headers)),
  ])
  return rows
}

/** Held until the transaction ends. @returns undefined if there is none (any more) */
export async function holdRequest(
  client: pg.ClientBase,
  by: { no: bigint } | { place: string },
): Promise<RequestRow | undefined> {
  const [column, value] = 'no' in by ? ['no', by.no] : ['place', by.place]
  const { rows } = await client.query<RequestRow>(
    `select ${COLUMNS} from object_loads where ${column} = $1 for update`,
    [value],
  )
  return rows[0]
}

/** The request that a batch was opened for, held until the transaction ends: no loader takes it meanwhile. */
export async function loadOf(client: pg.ClientBase, batchNo: bigint): Promise<RequestRow | undefined> {
  const { rows } = await client.query<RequestRow>(
    `select ${COLUMNS} from object_loads where batch_no = $1 and not repeats for update`,
    [batchNo],
  )
  return rows[0]
}

/** The batch that a request is for: as it says itself, else the object's, else one of its own. */
export const batchIdOf = (row: RequestRow): string => row.headers.batchId ?? ownIdOf(row)

/** Whoever names another id wants a batch of that id, whatever else the object is already. */
export const namesItsBatch = (row: RequestRow): boolean => batchIdOf(row) !== ownIdOf(row)

const ownIdOf = ({ bucket, key, etag, place }: RequestRow): string =>
  etag === null ? place : objectBatchId({ bucket, key, etag })
