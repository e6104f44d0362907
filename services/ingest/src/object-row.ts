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
  headers: RequestHeaders
}

const COLUMNS = `no, place, origin, requested_at as "requestedAt", batch_no as "batchNo", repeats, state, bucket, object_key as "key",
  version_id as "versionId", etag, sha256, content_type as "contentType", content_encoding as "contentEncoding", headers`

const INSERT = `
insert into object_loads (place, origin, requested_at, bucket, object_key, version_id, etag, sha256, content_type,
  content_encoding, headers)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict (place) do nothing
returning ${COLUMNS}`

/** @returns undefined if the request has its row already */
export async function insertRequest(client: pg.ClientBase, request: ObjectRequest): Promise<RequestRow | undefined> {
  const { place, origin, at, claim, headers } = request
  const { rows } = await client.query<RequestRow>(INSERT, [
    place,
    origin,
    at,
    claim.bucket,
    claim.key,
    claim.versionId ?? null,
    claim.etag ?? null,
    claim.sha256 === undefined ? null : Buffer.from(claim.sha256, 'hex'),
    claim.contentType ?? null,
    claim.contentEncoding ?? null,
    JSON.stringify(headers),
  ])
  return rows[0]
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

/** The request that a batch was opened for. */
export async function loadOf(client: pg.ClientBase, batchNo: bigint): Promise<RequestRow | undefined> {
  const { rows } = await client.query<RequestRow>(
    `select ${COLUMNS} from object_loads where batch_no = $1 and not repeats`,
    [batchNo],
  )
  return rows[0]
}

/** The batch that a request is for: as it says itself, else the object's, else one of its own. */
export function batchIdOf({ bucket, key, etag, place, headers }: Omit<RequestRow, 'no'>): string {
  return headers.batchId ?? (etag === null ? place : objectBatchId({ bucket, key, etag }))
}
