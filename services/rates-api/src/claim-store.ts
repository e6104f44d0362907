import { createHash, randomBytes } from 'node:crypto'
import { type OnApplicationShutdown } from '@nestjs/common'
import { type ClaimCheck } from '@rates/core/claim-check'
import type pg from 'pg'
import { type ClaimMetrics } from './claim-metrics.ts'
import { type ClaimObjects } from './claim-objects.ts'
import { ClaimGone, type ClaimParts } from './claim-parts.ts'

export { ClaimGone } from './claim-parts.ts'

/** What was put away. Nobody gets at it before it is sealed. */
export interface Claim {
  /** Whoever knows it may read the content: it cannot be guessed. */
  id: string
  /** Of the content. */
  bytes: number
  /** Of the content, in lower-case hex. */
  sha256: string
  contentType: string
  /** By the database's clock. */
  expiresAt: Date
}

/** A claim that was sealed and has not expired. */
export interface OpenClaim extends Claim {
  /** All of it or a fault: the last piece is given only once everything was as it was put. @throws ClaimGone, ClaimDamaged */
  content(signal?: AbortSignal): AsyncGenerator<Uint8Array>
}

export interface ClaimStoreParts {
  pool: pg.Pool
  parts: ClaimParts
  objects: ClaimObjects
  metrics: ClaimMetrics
  /** What is put away goes there; without one into PostgreSQL. What lies elsewhere from before is still found. */
  bucket: string | undefined
  hours: number
  maxBytes: number
}

export class ClaimTooLarge extends Error {
  readonly maxBytes: number
  constructor(maxBytes: number) {
    super(`the content has more than ${maxBytes} bytes`)
    this.name = 'ClaimTooLarge'
    this.maxBytes = maxBytes
  }
}

/** The content is not what was put. */
export class ClaimDamaged extends Error {
  constructor() {
    super('the content of a claim is not what was put away')
    this.name = 'ClaimDamaged'
  }
}

const CLAIM_ID = /^[A-Za-z0-9_-]{32}$/
const EXPIRY = "clock_timestamp() + $2::float8 * interval '1 hour'"

const OPEN = `insert into claims (id, expires_at, content_type, bucket) values ($1, ${EXPIRY}, $3, $4)`
/** It lasts from its end on: putting may have taken a while. */
const CLOSE = `
update claims set expires_at = date_trunc('milliseconds', ${EXPIRY}), bytes = $3, sha256 = decode($4, 'hex')
where id = $1 and removed_at is null returning expires_at`
const SEAL = `
update claims set sealed_at = clock_timestamp()
where id = any($1) and sealed_at is null and removed_at is null and sha256 is not null`
const FIND = `
select content_type, bytes, encode(sha256, 'hex') as sha256, bucket, expires_at,
  removed_at is not null or expires_at <= now() as expired
from claims where id = $1 and sealed_at is not null`
/** The sweep may have given it up, and found no object yet: there may be one now. */
const REMOVE_AGAIN = 'update claims set bucket = $2 where id = $1 and removed_at is not null'
const DISCARD = `
with gone as (
  update claims set removed_at = now() where id = any($1) and sealed_at is null and removed_at is null returning id)
delete from claim_parts using gone where claim_id = gone.id`

interface Found {
  content_type: string
  bytes: bigint
  sha256: string
  bucket: string | null
  expires_at: Date
  expired: boolean
}

/**
 * What is too large for a record is put here, and its claim check sent instead: into PostgreSQL, or a bucket where the
 * settings name one. A claim is put, then sealed in the transaction that writes its answer, then read until it expires;
 * what never gets sealed goes (see ClaimSweep). So no answer has a claim that is not there, and no claim stays without one.
 */
export class ClaimStore implements OnApplicationShutdown {
  readonly #with: ClaimStoreParts

  constructor(parts: ClaimStoreParts) {
    this.#with = parts
  }

  /**
   * Stores content in constant memory, unsealed. Faults of the content, of PostgreSQL and of the bucket are thrown as
   * they are; nothing is kept then.
   * @throws ClaimTooLarge, ClaimGone
   */
  async put(content: AsyncIterable<Uint8Array>, { contentType }: Pick<Claim, 'contentType'>): Promise<Claim> {
    const { pool, parts, objects, metrics, bucket, hours, maxBytes } = this.#with
    const id = randomBytes(24).toString('base64url')
    const hash = createHash('sha256')
    let bytes = 0
    async function* measured(): AsyncGenerator<Uint8Array> {
      for await (const piece of content) {
        bytes += piece.length
        if (bytes > maxBytes) throw new ClaimTooLarge(maxBytes)
        hash.update(piece)
        yield piece
      }
    }
    try {
      await pool.query(OPEN, [id, hours, contentType, bucket ?? null])
      if (bucket === undefined) await parts.write(id, measured())
      else await objects.write(bucket, id, measured(), contentType)
      const sha256 = hash.digest('hex')
      const { rows } = await pool.query<{ expires_at: Date }>(CLOSE, [id, hours, bytes, sha256])
      if (rows[0] === undefined) throw new ClaimGone('the row')
      metrics.put(bytes)
      return { id, bytes, sha256, contentType, expiresAt: rows[0].expires_at }
    } catch (error) {
      metrics.notPut(error instanceof ClaimTooLarge ? 'too_large' : 'failed')
      await this.discard([{ id }])
      if (bucket !== undefined) await pool.query(REMOVE_AGAIN, [id, bucket]).catch(() => undefined)
      throw error
    }
  }

  /**
   * Those that are not needed after all; one that is sealed, or is being sealed just now, stays. If it fails the sweep takes
   * them in an hour; objects are always left to it.
   */
  async discard(claims: readonly Pick<Claim, 'id'>[]): Promise<void> {
    if (claims.length === 0) return
    await this.#with.pool.query(DISCARD, [claims.map(({ id }) => id)]).catch(() => undefined)
  }

  /**
   * In the transaction that writes the answers with these claims: both are there, or neither is.
   * @throws ClaimGone where one is not there any more: put an hour ago, and given up
   */
  async seal(client: pg.ClientBase, claims: readonly Pick<Claim, 'id'>[]): Promise<void> {
    if (claims.length === 0) return
    const { rowCount } = await client.query(SEAL, [claims.map(({ id }) => id)])
    if (rowCount !== claims.length) throw new ClaimGone('the row')
  }

  /** What is not sealed is unknown. */
  async open(id: string): Promise<OpenClaim | 'unknown' | 'expired'> {
    if (!CLAIM_ID.test(id)) return 'unknown'
    const { pool, parts, objects } = this.#with
    const found = (await pool.query<Found>(FIND, [id])).rows[0]
    if (found === undefined) return 'unknown'
    if (found.expired) return 'expired'
    const { bucket, sha256, content_type: contentType, expires_at: expiresAt } = found
    const claim = { id, bytes: Number(found.bytes), sha256, contentType, expiresAt }
    const stored = (signal?: AbortSignal): AsyncGenerator<Uint8Array> =>
      bucket === null ? parts.read(id, claim.bytes) : objects.read(bucket, id, signal)
    return { ...claim, content: (signal) => verified(stored(signal), claim) }
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#with.objects.close()
  }
}

/** What the record says that is sent instead of the content. @param publicUrl of the API; empty: the URL is relative */
export function claimCheck(claim: Claim, publicUrl: string): ClaimCheck {
  const { id, contentType, bytes, sha256, expiresAt } = claim
  return { url: `${publicUrl}/claims/${id}`, contentType, bytes, sha256, expiresAt: expiresAt.toISOString() }
}

/** Keeps back the last piece until all of it has proved to be the claim's: what is damaged never looks whole. */
async function* verified(content: AsyncGenerator<Uint8Array>, { bytes, sha256 }: Claim): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let read = 0
  for await (const piece of content) {
    read += piece.length
    hash.update(piece)
    if (read > bytes || (read === bytes && hash.copy().digest('hex') !== sha256)) throw new ClaimDamaged()
    yield piece
  }
  if (read < bytes) throw new ClaimDamaged()
}
