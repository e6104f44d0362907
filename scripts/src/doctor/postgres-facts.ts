import { pendingMigrations } from '@rates/db/migrate'
import { connectionOptions } from '@rates/service/database-address'
import pg from 'pg'

export interface PostgresFacts {
  version: string
  versionNumber: number
  /** `on` or `off`, and synchronous_commit's own words. */
  settings: Record<'fsync' | 'full_page_writes' | 'synchronous_commit' | 'autovacuum' | 'server_encoding', string>
  maxConnections: number
  connections: number
  role: string
  superuser: boolean
  inRecovery: boolean
  /** This machine's clock less PostgreSQL's, in milliseconds, and how far that may be wrong. */
  clockAhead: number
  clockError: number
  /** Sessions that hold a transaction open and do nothing, for a minute or more. */
  idle: { pid: number; name: string; seconds: number }[]
  /** The names of migrations that have not run; or why nobody can tell. */
  pending: string[] | { fault: string }
  /** Undefined while migrations are pending. */
  ledger: LedgerFacts | undefined
}

export interface LedgerFacts {
  /** `insert on batches`, what the role may not do of what workers and the API do. */
  forbidden: string[]
  hidden: number
  open: number
  /** Seconds since the oldest open batch was opened. */
  oldestOpen: number | null
  oldestOpenId: string | null
  unsent: number
  oldestUnsent: number | null
  /** Records that were in flight when their worker died, and have not been handled for a minute. */
  suspects: number
  /** Least seconds from the broker's time of a record to its being stored, of the last chunks; negative: clocks differ. */
  shortestTrip: number | null
  objects: ObjectFacts
}

/** Objects of a store that are to become batches and have not been read to their end. */
export interface ObjectFacts {
  /** With a note that says why, for ten minutes or more. */
  stuck: number
  /** The first of them. */
  stuckName: string | null
  stuckNote: string | null
  /** Seconds since the store refuses our credentials, the longest; null: it does not. */
  refused: number | null
}

const SERVER = `
select current_setting('server_version') as version, current_setting('server_version_num')::int as "versionNumber",
  (select jsonb_object_agg(name, setting) from pg_settings
    where name in ('fsync', 'full_page_writes', 'synchronous_commit', 'autovacuum', 'server_encoding')) as settings,
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as "maxConnections",
  (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as connections,
  current_user as role, (select rolsuper from pg_roles where rolname = current_user) as superuser,
  pg_is_in_recovery() as "inRecovery"`

const IDLE = `
select pid, application_name as name, extract(epoch from clock_timestamp() - state_change)::int as seconds
from pg_stat_activity
where datname = current_database() and state like 'idle in transaction%' and state_change < clock_timestamp() - interval '1 minute'
order by state_change limit 10`

/** What ingest and the API do with each table. */
const NEEDED: Record<string, string> = {
  batches: 'select, insert, update, delete',
  batch_chunks: 'select, insert, update, delete',
  hidden_batches: 'select, insert, delete',
  price_packs: 'select, insert, update, delete',
  outbox: 'select, insert, update, delete',
  leases: 'select, insert, update, delete',
  record_attempts: 'select, insert, update, delete',
  uploads: 'select, insert, update, delete',
  object_loads: 'select, insert, update, delete',
  query_answers: 'select, insert, delete',
  claims: 'select, insert, update, delete',
  claim_parts: 'select, insert, delete',
  ports: 'select',
  regions: 'select',
}

const FORBIDDEN = `
select p.privilege || ' on ' || t.name as what
from jsonb_each_text($1) t(name, privileges) cross join lateral regexp_split_to_table(t.privileges, ', ') p(privilege)
where to_regclass(t.name) is not null and not has_table_privilege(to_regclass(t.name), p.privilege)
order by 1`

const LEDGER = `
select (select count(*)::int from hidden_batches) as hidden,
  (select count(*)::int from batches where state = 'open') as open, oldest.id as "oldestOpenId",
  extract(epoch from clock_timestamp() - oldest.created_at)::float8 as "oldestOpen",
  (select count(*)::int from outbox where sent_at is null) as unsent,
  (select extract(epoch from clock_timestamp() - min(created_at))::float8 from outbox where sent_at is null) as "oldestUnsent",
  (select count(*)::int from record_attempts where last_at < clock_timestamp() - interval '1 minute') as suspects,
  (select min(extract(epoch from c.stored_at - c.record_time))::float8 from (
     select no from batches where state = 'succeeded' order by no desc limit 50
   ) b join batch_chunks c on c.batch_no = b.no) as "shortestTrip",
  (select jsonb_build_object(
     'stuck', count(*) filter (where stuck),
     'stuckName', (array_agg('s3://' || bucket || '/' || object_key order by no) filter (where stuck))[1],
     'stuckNote', (array_agg(note order by no) filter (where stuck))[1],
     'refused', extract(epoch from clock_timestamp() - min(refused_since))
   ) from (
     select *, note is not null and created_at < clock_timestamp() - interval '10 minutes' as stuck
     from object_loads where state in ('waiting', 'loading')
   ) o) as objects
from (select) one left join lateral (
  select id, created_at from batches where state = 'open' order by no limit 1
) oldest on true`

/** @throws what PostgreSQL or the socket says, if it cannot be reached */
export async function askPostgres(databaseUrl: string): Promise<PostgresFacts> {
  const client = new pg.Client({
    ...connectionOptions(databaseUrl),
    application_name: 'rates-doctor',
    connectionTimeoutMillis: 5_000,
    statement_timeout: 15_000,
    query_timeout: 20_000,
  })
  client.on('error', () => undefined) // the query that is running rejects
  await client.connect()
  try {
    const server =
      await client.query<Omit<PostgresFacts, 'clockAhead' | 'clockError' | 'idle' | 'pending' | 'ledger'>>(SERVER)
    const idle = await client.query<PostgresFacts['idle'][number]>(IDLE)
    const clock = await compareClock(client)
    const pending = await pendingMigrations(databaseUrl).catch((error: Error) => ({ fault: error.message }))
    const ledger = Array.isArray(pending) && pending.length === 0 ? await askLedger(client) : undefined
    return { ...server.rows[0]!, ...clock, idle: idle.rows, pending, ledger }
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function askLedger(client: pg.Client): Promise<LedgerFacts> {
  const forbidden = (await client.query<{ what: string }>(FORBIDDEN, [NEEDED])).rows.map(({ what }) => what)
  const nothing = { hidden: 0, open: 0, oldestOpen: null, oldestOpenId: null, unsent: 0, oldestUnsent: null }
  const objects = { stuck: 0, stuckName: null, stuckNote: null, refused: null }
  if (forbidden.some((what) => what.startsWith('select')))
    return { forbidden, ...nothing, suspects: 0, shortestTrip: null, objects }
  const { rows } = await client.query<Omit<LedgerFacts, 'forbidden'>>(LEDGER)
  return { forbidden, ...rows[0]! }
}

/** The best of five: the answer was made somewhere between asking and hearing it. */
async function compareClock(client: pg.Client): Promise<Pick<PostgresFacts, 'clockAhead' | 'clockError'>> {
  let best = { clockAhead: 0, clockError: Infinity }
  for (let i = 0; i < 5; i++) {
    const asked = Date.now()
    const { rows } = await client.query<{ now: number }>(
      'select extract(epoch from clock_timestamp())::float8 * 1000 as now',
    )
    const clockError = (Date.now() - asked) / 2
    if (clockError < best.clockError) best = { clockAhead: asked + clockError - rows[0]!.now, clockError }
  }
  return best
}
