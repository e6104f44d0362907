import { connectionOptions } from '@rates/service/database-address'
import { topicNames } from '@rates/service/topics'
import pg from 'pg'
import { type LastStored } from './rewind.ts'
import { findRunning, NothingRuns } from './running.ts'

/** By topic and partition; or why the ledger could not be asked. */
export type LedgerEnds = { lanes: ReadonlyMap<string, ReadonlyMap<number, LastStored>> } | { fault: string }

/** Record times are the broker's, hence in the order of offsets: a look-up by index for each partition. */
const LAST = `
select t.topic, p.partition, c.record_offset as offset, c.record_time as time
from unnest($1::text[]) t(topic) cross join generate_series(0, $2::int) p(partition)
cross join lateral (
  select record_offset, record_time from batch_chunks
  where topic = t.topic and partition = p.partition order by record_time desc limit 1
) c`

const MAX_PARTITION = 1_000

/** How far the ledger goes on each partition of the lanes. It only serves for warnings: rewinding works without. */
export async function readLastStored(prefix: string): Promise<LedgerEnds> {
  let databaseUrl: string
  try {
    databaseUrl = (await findRunning('databaseUrl')).databaseUrl
  } catch (error) {
    if (error instanceof NothingRuns) return { fault: 'DATABASE_URL is not set' }
    throw error
  }
  const client = new pg.Client({
    ...connectionOptions(databaseUrl),
    connectionTimeoutMillis: 5_000,
    query_timeout: 30_000,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { batches, bulk } = topicNames(prefix)
    const { rows } = await client.query<{ topic: string; partition: number; offset: string; time: Date }>(LAST, [
      [batches, bulk],
      MAX_PARTITION,
    ])
    const lanes = new Map<string, Map<number, LastStored>>()
    for (const { topic, partition, offset, time } of rows) {
      const lane = lanes.get(topic) ?? new Map<number, LastStored>()
      lanes.set(topic, lane.set(partition, { offset: BigInt(offset), time: time.getTime() }))
    }
    return { lanes }
  } catch (error) {
    const inner: unknown = error instanceof AggregateError ? error.errors[0] : error
    return { fault: (inner as Error).message }
  } finally {
    await client.end().catch(() => undefined)
  }
}
