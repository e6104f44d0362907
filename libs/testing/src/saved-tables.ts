import type pg from 'pg'

const TABLES = [
  ...['batches', 'batch_chunks', 'hidden_batches', 'price_packs', 'outbox', 'leases', 'record_attempts'].map(
    (table) => `public.${table}`,
  ),
  'test_audit.transitions',
]

/**
 * Keeps the rows of the ledger, the packs and the outbox as they are now. `tamper` runs SQL as no part of the platform
 * would, past triggers and foreign keys; `restore` takes back whatever was done since.
 */
export async function saveTables(
  pool: pg.Pool,
): Promise<{ tamper(sql: string, values?: unknown[]): Promise<void>; restore(): Promise<void> }> {
  const copies = TABLES.map((table) => `create table ${copyOf(table)} as table ${table}`)
  await pool.query(['create schema saved', ...copies].join('; '))
  const unguarded = async (work: (client: pg.PoolClient) => Promise<void>): Promise<void> => {
    const client = await pool.connect()
    try {
      await client.query('begin; set local session_replication_role = replica')
      await work(client)
      await client.query('commit')
    } catch (error) {
      await client.query('rollback')
      throw error
    } finally {
      client.release()
    }
  }
  return {
    tamper: (sql, values) =>
      unguarded(async (client) => {
        const done = (await client.query(sql, values)) as pg.QueryResult | pg.QueryResult[]
        for (const { rowCount } of [done].flat()) if (rowCount === 0) throw new Error(`this changed nothing: ${sql}`)
      }),
    restore: () =>
      unguarded(async (client) => {
        for (const table of TABLES) {
          await client.query(
            `delete from ${table}; insert into ${table} overriding system value select * from ${copyOf(table)}`,
          )
        }
      }),
  }
}

const copyOf = (table: string): string => `saved.${table.split('.')[1]}`
