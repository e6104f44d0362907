import { connectionOptions } from '@rates/service/database-address'
import pg from 'pg'

export interface LedgerStatus {
  version: string
  open: number
  /** The newest among the batches that were published last. */
  lastPublished: { id: string; rows: number; at: string } | null
  failedInDay: number
  /** Readers go through them at each read. */
  hidden: number
  repliesUnsent: number
  /** Of an object store, on their way to becoming batches. */
  objects: {
    waiting: number
    loading: number
    /** `note` says why it waits. */
    oldest: { name: string; seconds: number; note: string | null } | null
  }
}

const LEDGER = `
select current_setting('server_version') as version,
  (select count(*)::int from batches where state = 'open') as open,
  (select jsonb_build_object('id', id, 'rows', rows_accepted, 'at', finished_at) from (
     select id, rows_accepted, finished_at from batches where state = 'succeeded' and not dry_run order by no desc limit 200
   ) newest order by finished_at desc limit 1) as "lastPublished",
  (select count(*)::int from batches where state = 'failed' and finished_at > clock_timestamp() - interval '1 day') as "failedInDay",
  (select count(*)::int from hidden_batches) as hidden,
  (select count(*)::int from outbox where sent_at is null) as "repliesUnsent",
  (select jsonb_build_object(
     'waiting', count(*) filter (where state = 'waiting'), 'loading', count(*) filter (where state = 'loading'),
     'oldest', (array_agg(jsonb_build_object(
       'name', 's3://' || bucket || '/' || object_key, 'note', note,
       'seconds', extract(epoch from clock_timestamp() - created_at)) order by no))[1]
   ) from object_loads where state in ('waiting', 'loading')) as objects`

/** Counts by index, cheap enough to be asked every second. @throws what PostgreSQL or the socket says */
export async function askLedgerStatus(databaseUrl: string): Promise<LedgerStatus> {
  const client = new pg.Client({
    ...connectionOptions(databaseUrl),
    application_name: 'rates-status',
    connectionTimeoutMillis: 5_000,
    statement_timeout: 10_000,
    query_timeout: 12_000,
  })
  client.on('error', () => undefined) // the query that is running rejects
  await client.connect()
  try {
    const { rows } = await client.query<LedgerStatus>(LEDGER)
    return rows[0]!
  } finally {
    await client.end().catch(() => undefined)
  }
}
