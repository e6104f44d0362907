import { type Reply } from '@rates/core/batch'
import { connectionOptions } from '@rates/service/database-address'
import { type IncomingRecord, type KafkaSettings } from '@rates/service/kafka'
import { type Admin } from '@rates/service/kafka-admin'
import { openReader } from '@rates/service/kafka-reader'
import pg from 'pg'

/** A batch of which its sender was told something else than what the ledger has now. */
export interface Untrue {
  batchId: string
  dryRun: boolean
  told: string
  /** Undefined: the ledger has no such batch. */
  state: string | undefined
}

interface Told {
  batchId: string
  dryRun: boolean
  state: string
}

/** States that agree with an outcome: what succeeded may have been reverted or replaced since. */
const AGREES: Record<string, readonly string[]> = {
  succeeded: ['succeeded', 'reverted', 'replaced'],
  failed: ['failed'],
  cancelled: ['cancelled'],
}
const AT_ONCE = 500

/**
 * Compares the outcomes that the topic of replies has since a time with the ledger: after a restore and a replay they
 * should be the same. Reads in little memory; only what differs is kept.
 */
export async function compareTold(
  kafka: KafkaSettings,
  admin: Admin,
  replies: string,
  since: number,
  databaseUrl: string,
): Promise<{ compared: number; untrue: Untrue[] }> {
  const ends = await admin.ends(replies)
  const from = await admin.offsetsAt(replies, since)
  const client = new pg.Client({
    ...connectionOptions(databaseUrl),
    connectionTimeoutMillis: 5_000,
    query_timeout: 60_000,
  })
  client.on('error', () => undefined) // the query that is running rejects
  await client.connect()
  const reader = await openReader(kafka, replies)
  const untrue = new Map<string, Untrue>()
  let compared = 0
  let waiting: Told[] = []
  const compare = async (): Promise<void> => {
    for (const each of await differing(client, waiting)) untrue.set(`${each.batchId} ${each.dryRun} ${each.told}`, each)
    compared += waiting.length
    waiting = []
  }
  try {
    for (const { partition, low, high } of ends) {
      const start = from.get(partition) ?? low
      await reader.read({ partition, from: start > low ? start : low, to: high }, async (record) => {
        const told = readOutcome(record)
        if (told) waiting.push(told)
        if (waiting.length === AT_ONCE) await compare()
      })
    }
    await compare()
  } finally {
    await reader.close()
    await client.end().catch(() => undefined)
  }
  return { compared, untrue: [...untrue.values()] }
}

/** What a reply says of a batch's outcome; others tell of a single record. */
function readOutcome({ headers, value }: IncomingRecord): Told | undefined {
  if (!headers.has('batch-id')) return undefined // an answer to a query, which tells of what was then
  try {
    const { batchId, dryRun, state } = JSON.parse(Buffer.from(value ?? '').toString()) as Reply
    return state in AGREES ? { batchId, dryRun, state } : undefined
  } catch {
    return undefined // somebody else's record
  }
}

async function differing(client: pg.Client, told: readonly Told[]): Promise<Untrue[]> {
  const { rows } = await client.query<{ told: string; state: string | null; batchId: string; dryRun: boolean }>(
    `select t.id as "batchId", t.dry_run as "dryRun", t.told, b.state
     from unnest($1::text[], $2::boolean[], $3::text[]) t(id, dry_run, told)
     left join batches b on b.id = t.id and b.dry_run = t.dry_run`,
    [told.map(({ batchId }) => batchId), told.map(({ dryRun }) => dryRun), told.map(({ state }) => state)],
  )
  return rows
    .filter(({ told, state }) => state === null || !AGREES[told]!.includes(state))
    .map(({ state, ...rest }) => ({ ...rest, state: state ?? undefined }))
}
