import { type Admin } from '@rates/service/kafka-admin'
import type pg from 'pg'
import { type Door, type DoorLag, type PartitionLag, type SystemState } from './leader-gauges.ts'
import { RecordAges } from './record-ages.ts'

const LEDGER = `
select count(*)::int as "openBatches", coalesce(extract(epoch from min(created_at)), 0)::float8 as "oldestOpen",
  extract(epoch from min(deadline) - clock_timestamp())::float8 as "slackSeconds"
from batches where state = 'open'`

const OUTBOX = `
select count(*)::int as "outboxPending", coalesce(extract(epoch from min(created_at)), 0)::float8 as "outboxOldest"
from outbox where sent_at is null`

const WEBHOOKS = `
select count(*)::int as pending, coalesce(extract(epoch from min(created_at)), 0)::float8 as oldest
from webhooks where ended_at is null`

/** What the last records of each of these partitions had. */
const MEAN_ROWS = `
select c.partition, avg(c.rows)::float8 as rows
from unnest($2::int[]) as p(partition)
cross join lateral (select partition, rows from batch_chunks
  where topic = $1 and partition = p.partition order by record_time desc limit 20) c
group by c.partition`

/** What is read by groups: the topic, and its group. */
export interface Read {
  /** Each lane's. */
  lanes: ReadonlyMap<string, string>
  /** Of topics that bring no chunks; one whose topic is not there is passed over. */
  doors: ReadonlyMap<Door, { topic: string; group: string }>
}

/** Looks at ledger, outbox and topics: a few look-ups in indexes, and two questions to Kafka for each topic. */
export class SystemLook {
  private readonly ages: ReadonlyMap<string, RecordAges>
  private readonly pool: pg.Pool
  private readonly admin: Admin
  private readonly read: Read
  private readonly webhooks: boolean

  /** @param webhooks whether there are any */
  constructor(pool: pg.Pool, admin: Admin, read: Read, webhooks: boolean) {
    this.pool = pool
    this.admin = admin
    this.read = read
    this.webhooks = webhooks
    const topics = [...read.lanes.keys(), ...[...read.doors.values()].map(({ topic }) => topic)]
    this.ages = new Map(topics.map((topic) => [topic, new RecordAges(admin, topic)]))
  }

  async look(): Promise<SystemState> {
    const lags: PartitionLag[] = []
    let backlogRows = 0
    for (const [topic, group] of this.read.lanes) {
      const lane = (await this.behind(topic, group)).map((each) => ({ topic, ...each }))
      lags.push(...lane)
      backlogRows += await this.rowsOf(topic, lane)
    }
    const doors: DoorLag[] = []
    const there = new Set(await this.admin.topics())
    for (const [door, { topic, group }] of this.read.doors) {
      if (!there.has(topic)) continue
      doors.push(...(await this.behind(topic, group)).map((each) => ({ door, ...each })))
    }
    const ledger = await this.pool.query<Pick<SystemState, 'openBatches' | 'oldestOpen' | 'slackSeconds'>>(LEDGER)
    const outbox = await this.pool.query<Pick<SystemState, 'outboxPending' | 'outboxOldest'>>(OUTBOX)
    return { ...ledger.rows[0]!, ...outbox.rows[0]!, webhooks: await this.waitingWebhooks(), backlogRows, lags, doors }
  }

  private async waitingWebhooks(): Promise<SystemState['webhooks']> {
    if (!this.webhooks) return null
    return (await this.pool.query<NonNullable<SystemState['webhooks']>>(WEBHOOKS)).rows[0]!
  }

  private async behind(topic: string, group: string): Promise<Omit<PartitionLag, 'topic'>[]> {
    const partitions = await this.admin.progress(group, topic)
    const ages = await this.ages.get(topic)!.of(partitions)
    return partitions.map(({ partition, low, high, committed }) => ({
      partition,
      messages: Math.max(0, Number(high - (committed ?? low))),
      seconds: ages.get(partition) ?? 0,
    }))
  }

  /** A partition of which the ledger has nothing counts by the others of its lane; else a record counts as a row. */
  private async rowsOf(topic: string, lags: readonly PartitionLag[]): Promise<number> {
    const behind = lags.filter(({ messages }) => messages > 0)
    if (behind.length === 0) return 0
    const { rows } = await this.pool.query<{ partition: number; rows: number }>(MEAN_ROWS, [
      topic,
      behind.map(({ partition }) => partition),
    ])
    const means = new Map(rows.map((mean) => [mean.partition, mean.rows]))
    const usual = rows.length > 0 ? rows.reduce((sum, mean) => sum + mean.rows, 0) / rows.length : 1
    return behind.reduce((sum, { partition, messages }) => sum + messages * (means.get(partition) ?? usual), 0)
  }
}
