import { type IncomingRecord } from '@rates/service/kafka'
import type pg from 'pg'

/** Tries that ended their worker, after which the record is taken for the cause. The very first is not counted where
 * nothing made the record suspect before. */
export const MAX_ATTEMPTS = 3

/**
 * Counts a try of a record that was in flight when its partition changed hands, in a transaction of its own, before
 * the record is handled: a record that kills its worker is counted all the same. @returns the tries with this one
 */
export async function countAttempt(pool: pg.Pool, record: IncomingRecord): Promise<number> {
  const { rows } = await pool.query<{ attempts: number }>(
    `insert into record_attempts as r (topic, partition, record_offset, attempts) values ($1, $2, $3, 1)
     on conflict (topic, partition, record_offset) do update set last_at = clock_timestamp(),
       attempts = case when r.last_at < clock_timestamp() - interval '1 day' then 1 else r.attempts + 1 end
     returning attempts`,
    [record.topic, record.partition, record.offset],
  )
  return rows[0]!.attempts
}

/** The record did no harm: it was handled, or its worker left it off in good order. */
export async function forgetAttempts(pool: pg.Pool, record: IncomingRecord): Promise<void> {
  await pool.query('delete from record_attempts where topic = $1 and partition = $2 and record_offset = $3', [
    record.topic,
    record.partition,
    record.offset,
  ])
}
