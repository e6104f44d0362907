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
  /** Published batches that merging has not looked at, 100 000 at most; null: this schema does not merge. */
  unmerged: number | null
}

const LEDGER = `
select current_setting('server_version') as version,
  (select count(*)::int from batches where state = 'open') as open,
  (select jsonb_build_object('id', id, 'rows', rows_accepted, 'at', finished_at) from (
     select id, rows_accepted, finished_at from batches where state = 'succeeded' and not dry_run order by no desc limit 200
   ) newest order by finished_at desc limit 1) as "lastPublished",
  (select count(*)::int from batches where state = 'failed' and finished_at > clock_timestamp() - interval '1 day') as "failedInDay",
  (select count(*)::int from hidden_batches) as hidden,
  (select count(*)::int from outbox where sent_at is null) as "repliesUnsent"`

const UNMERGED = `
select count(*)::int as n from (
  select from batches where state = 'succeeded' and not dry_run and no > (select up_to from compaction) limit 100000
) b`

/** Counts by index, cheap enough to be asked every second. @throws what PostgreSQL or the socket says */
export async function askLedgerStatus(databaseUrl: string): Promise<LedgerStatus> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: 'rates-status',
    connectionTimeoutMillis: 5_000,
    statement_timeout: 10_000,
    query_timeout: 12_000,
  })
  client.on('error', () => undefined) // the query that is running rejects
  await client.connect()
  try {
    const { rows } = await client.query<Omit<LedgerStatus, 'unmerged'>>(LEDGER)
    const merging = await client.query<{ there: boolean }>(`select to_regclass('compaction') is not null as there`)
    const unmerged = merging.rows[0]!.there ? (await client.query<{ n: number }>(UNMERGED)).rows[0]!.n : null
    return { ...rows[0]!, unmerged }
  } finally {
    await client.end().catch(() => undefined)
  }
}
