import type pg from 'pg'
import { eventually } from './eventually.ts'

/**
 * Waits until that many connections wait for a lock with a statement that begins so, by a regular expression. Whatever
 * else waits in the database (another worker, the sweeper, the merging, an autovacuum) is not counted.
 */
export async function waitingFor(pool: pg.Pool, statement: string, count = 1): Promise<void> {
  await eventually(
    async () => {
      const { rowCount } = await pool.query(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query ~* $1`,
        [`^\\s*${statement}`],
      )
      return (rowCount ?? 0) >= count
    },
    { every: 20, what: `${count} × "${statement}" waiting for a lock` },
  )
}
