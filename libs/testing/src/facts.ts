import { inspect } from 'node:util'
import { type TestBatch } from './batches.ts'
import { eventually } from './eventually.ts'
import { type Line } from './line.ts'

/** What a reader of the view `prices` sees of a batch's month: all of it, nothing, or what is wrong. */
export async function visible(line: Pick<Line, 'pool'>, batch: TestBatch): Promise<string> {
  const { rows } = await line.pool.query<{ line: string }>(
    `select orig_code || ',' || dest_code || ',' || day || ',' || price as line
     from prices where day >= $1 and day < $1::date + interval '1 month'`,
    [`${batch.month}-01`],
  )
  if (rows.length === 0) return 'nothing'
  return (
    difference(
      batch.lines,
      rows.map((row) => row.line),
    ) ?? 'all'
  )
}

/** How two multisets of lines differ, in words; undefined if they do not. */
export function difference(expected: readonly string[], seen: readonly string[]): string | undefined {
  const counts = new Map<string, number>()
  for (const line of seen) counts.set(line, (counts.get(line) ?? 0) + 1)
  for (const line of expected) counts.set(line, (counts.get(line) ?? 0) - 1)
  const wrong = [...counts].filter(([, count]) => count !== 0)
  if (wrong.length === 0) return undefined
  return `${seen.length} rows instead of ${expected.length}; ${wrong.length} differ, as ${JSON.stringify(wrong.slice(0, 3))}`
}

/** What the ledger, the replies and the data say of a batch: they have to agree (I1 to I5). */
export interface Facts {
  state: string
  rows: { accepted: number; rejected: number }
  digest: string | null
  error: string | null
  visible: string
  /** The distinct reply ids, and the states that they tell. */
  replies: string[]
  replied: string[]
}

export async function factsOf(line: Line, batch: TestBatch, dryRun = false): Promise<Facts> {
  const { rows } = await line.pool.query<{
    state: string
    accepted: number
    rejected: number
    digest: string | null
    error: string | null
  }>(
    `select state, rows_accepted::float8 as accepted, rows_rejected::float8 as rejected, encode(digest, 'hex') as digest,
       error ->> 'code' as error from batches where id = $1 and dry_run = $2`,
    [batch.id, dryRun],
  )
  const row = rows[0]
  const replies = await line.replies(batch.id)
  const distinct = new Map(
    replies.map(({ id, bytes }) => [id + bytes, { id, state: JSON.parse(bytes).state as string }]),
  )
  return {
    state: row?.state ?? 'unknown',
    rows: { accepted: row?.accepted ?? 0, rejected: row?.rejected ?? 0 },
    digest: row?.digest ?? null,
    error: row?.error ?? null,
    visible: await visible(line, batch),
    replies: [...distinct.values()].map(({ id }) => id),
    replied: [...distinct.values()].map(({ state }) => state),
  }
}

/** The facts of a batch that succeeded as it should. */
export const succeeded = (batch: TestBatch): Facts => ({
  state: 'succeeded',
  rows: { accepted: batch.lines.length, rejected: 0 },
  digest: batch.digest,
  error: null,
  visible: 'all',
  replies: [`${batch.id}/succeeded`],
  replied: ['succeeded'],
})

/** What must not be left in the database once everything has ended (I6). */
export async function leftovers(line: Pick<Line, 'pool' | 'tables'>): Promise<Record<string, number>> {
  const { rows } = await line.pool.query<Record<string, number>>(
    `select (select count(*)::int from batches where state = 'open') as open,
      (select count(*)::int from price_packs p where not exists (select from batches b where b.no = p.batch_no
        and b.state in ('succeeded', 'replaced', 'reverted'))) as packs,
      (select count(*)::int from hidden_batches h where not exists (select from batches b where b.no = h.batch_no
        and b.state in ('replaced', 'reverted'))) as hidden,
      (select count(*)::int from outbox where sent_at is null) as unsent,
      (select count(*)::int from record_attempts) as attempts,
      -- A holder renews its lease for some seconds at a time: one that runs for longer would never be given up.
      (select count(*)::int from leases where until > clock_timestamp() + interval '15 seconds') as leases,
      (select count(*)::int from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
        and state like 'idle in transaction%' and state_change < clock_timestamp() - interval '2 seconds') as transactions,
      (select count(*)::int from pg_locks where locktype = 'advisory' and granted
        and database = (select oid from pg_database where datname = current_database())) as locks,
      (select count(*)::int from pg_class where relkind in ('r', 'p') and relname <> all ($1)
        and (relnamespace = 'public'::regnamespace or relpersistence = 't')) as tables`,
    [line.tables],
  )
  return rows[0]!
}

/** leftovers(), and the records that nobody has read yet. */
export async function remains(line: Line): Promise<Record<string, number>> {
  return { backlog: Number(await backlog(line)), ...(await leftovers(line)) }
}

/** Waits until all was read and nothing is left of what ended; the sweeper has its turn once a second. */
export async function settled(line: Line, within = 60_000): Promise<void> {
  let left: unknown
  await eventually(
    async () => {
      left = await remains(line)
      return Object.values(left as object).every((count) => count === 0)
    },
    { within, what: 'nothing being left' },
  ).catch((error: Error) => {
    throw new Error(`${error.message}: ${inspect(left)}`, { cause: error })
  })
}

/** Records that the workers' groups have not committed yet. */
export async function backlog(line: Line): Promise<bigint> {
  let left = 0n
  for (const [group, topic] of [
    [line.groups.batches, line.topics.batches],
    [line.groups.bulk, line.topics.bulk],
  ] as const) {
    for (const { low, high, committed } of await line.admin.progress(group, topic)) left += high - (committed ?? low)
  }
  return left
}
