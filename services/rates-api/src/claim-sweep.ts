import { setTimeout as sleep } from 'node:timers/promises'
import { type OnModuleDestroy } from '@nestjs/common'
import { type Logger } from '@rates/service/log'
import { within } from '@rates/service/within'
import { type Pool } from 'pg'
import { type ClaimMetrics, type RemovalReason } from './claim-metrics.ts'
import { type ClaimObjects } from './claim-objects.ts'

const EVERY_MS = 60_000
/** A store that hangs does not hold up the process' end. */
const STOP_SECONDS = 2
/** Objects that are looked up at once. */
const OBJECTS = 100

/**
 * The content of one claim that another process is not at: a claim at a time, as its parts may be thousands. Who began to
 * read before it expired has five minutes for the rest.
 */
const remove = (due: string): string => `
with due as (select id from claims where removed_at is null and ${due} limit 1 for update skip locked),
  parts as (delete from claim_parts using due where claim_id = due.id)
update claims set removed_at = now() from due where claims.id = due.id`

const REMOVE: Readonly<Record<RemovalReason, string>> = {
  expired: remove("sealed_at is not null and expires_at < now() - interval '5 minutes'"),
  abandoned: remove("sealed_at is null and created_at < now() - interval '1 hour'"),
}

const OBJECTS_TO_REMOVE = `
select id, bucket from claims where removed_at is not null and bucket is not null and bucket <> all($1) limit ${OBJECTS}`
const REMOVED_OBJECT = 'update claims set bucket = null where id = $1 and removed_at is not null'

const FORGET = "delete from claims where removed_at < now() - interval '7 days' and bucket is null"

const COUNT = `
select count(*) as kept, coalesce(sum(bytes), 0)::int8 as bytes,
  (select count(*) from claims where removed_at is not null and bucket is not null) as unremoved
from claims where removed_at is null and sealed_at is not null`

export interface SweepParts {
  pool: Pool
  objects: ClaimObjects
  metrics: ClaimMetrics
  log: Logger
}

/**
 * Removes what expired, and what was put away for an answer that never came to be. A row is marked first, and its parts
 * go with that; its object goes afterwards, and is asked for again until the store has removed it: `bucket` stays until
 * then. Then the row says for seven days that it expired. Every process does it, and none waits for another one.
 */
export class ClaimSweep implements OnModuleDestroy {
  readonly #with: SweepParts
  readonly #stopping = new AbortController()
  #loop: Promise<void> | undefined

  constructor(parts: SweepParts) {
    this.#with = parts
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  /** After the step in hand. */
  async onModuleDestroy(): Promise<void> {
    this.#stopping.abort()
    if (this.#loop) await within(STOP_SECONDS, this.#loop)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.round().catch((error: unknown) => this.#with.log.warn({ err: error }, 'could not sweep claims'))
      // At another moment than other processes do it.
      await sleep(EVERY_MS * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined)
    }
  }

  /** Removes all there is to remove now. @throws a fault of PostgreSQL; that of a store is only logged */
  async round(): Promise<void> {
    const { pool, metrics } = this.#with
    const { signal } = this.#stopping
    for (const reason of ['expired', 'abandoned'] as const) {
      while (!signal.aborted && (await pool.query(REMOVE[reason])).rowCount === 1) metrics.removed(reason)
    }
    await this.#removeObjects()
    await pool.query(FORGET)
    const { rows } = await pool.query<Record<'kept' | 'bytes' | 'unremoved', bigint>>(COUNT)
    const { kept, bytes, unremoved } = rows[0]!
    metrics.swept({ kept: Number(kept), bytes: Number(bytes), unremoved: Number(unremoved) })
  }

  /** A store that is away, or refuses us, is asked again in the next round. */
  async #removeObjects(): Promise<void> {
    const { pool, objects, log } = this.#with
    const passedOver: string[] = []
    for (;;) {
      const { rows } = await pool.query<{ id: string; bucket: string }>(OBJECTS_TO_REMOVE, [passedOver])
      if (rows.length === 0) return
      for (const { id, bucket } of rows) {
        if (this.#stopping.signal.aborted) return
        if (passedOver.includes(bucket)) continue
        try {
          await objects.remove(bucket, id)
        } catch (error) {
          log.warn({ err: error, bucket }, 'expired claims stay in their bucket for now')
          passedOver.push(bucket)
          continue
        }
        await pool.query(REMOVED_OBJECT, [id])
      }
    }
  }
}
