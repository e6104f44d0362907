import { type BatchError } from '@rates/core/batch'
import { type Admin, type PartitionProgress } from '@rates/service/kafka-admin'
import { failpoint } from '@rates/service/failpoints'
import { endEarly } from '@rates/service/ledger/end-early'
import { type ReplySettings } from '@rates/service/ledger/finish'
import { BATCH_COLUMNS, type LedgerBatch } from '@rates/service/ledger/open'
import { type Logger } from '@rates/service/log'
import { withTransaction } from '@rates/service/postgres'
import type pg from 'pg'
import { batchEnded, type EndedBatch } from './batch-ended.ts'
import { type IngestMetrics } from './metrics.ts'
import { bindLate } from './object-bind.ts'
import { publish } from './publish.ts'

export interface SweeperSettings {
  chunkTimeoutSeconds: number
  revertWindowDays: number
  replies: ReplySettings
  /** The consumer group that reads each lane's topic. */
  groups: ReadonlyMap<string, string>
}

/** What one pass did. */
export interface Swept {
  published: number
  late: number
  incomplete: number
  purged: number
}

/**
 * What failed, was cancelled or reverted never comes back. A replaced batch does if its replacement is reverted, so it
 * stays until that is too late, whatever became of the replacement meanwhile: one that was itself replaced may come back
 * first, and be reverted then, by its own time.
 */
const TO_PURGE = `
select b.no from batches b left join batches r on b.state = 'replaced' and r.id = b.replaced_by and not r.dry_run
where b.purged_at is null and b.state in ('failed', 'cancelled', 'reverted', 'replaced')
  and (b.state <> 'replaced' or r.no is null or r.finished_at + make_interval(secs => $1) < clock_timestamp())
order by b.no limit 100`

/**
 * Open batches, and when something last came of them. Of a file that is still loaded something will come yet, however
 * long its store is away.
 */
const OLD = `
select ${BATCH_COLUMNS}, topic,
  greatest(created_at, (select max(record_time) from batch_chunks where batch_no = b.no),
    (select sent_at from object_loads where batch_no = b.no and not repeats)) as last
from batches b
where state = 'open' and created_at < clock_timestamp() - make_interval(secs => $1)
  and not exists (select from object_loads l where l.batch_no = b.no and not repeats and l.state in ('waiting', 'loading'))
order by no limit 1000`

/**
 * Most batches that fail have stored no pack: only chunks without a bad row do. They need no look into the table, whose
 * index on batch_no finds its packs among those that took the room of merged ones, and reads many for a few.
 */
const REMOVE_PACKS = `
delete from price_packs where batch_no = $1 and batches is null
  and exists (select from batch_chunks where batch_no = $1 and rejected = 0 and rows > 0)`

/**
 * Ends what nobody else ends: complete batches whose worker died before it published them, batches past their deadline,
 * batches whose chunks never all came; and removes what ended batches left. runOnce() holds all of it.
 */
export class Sweeper {
  private readonly pool: pg.Pool
  private readonly admin: Admin
  private readonly settings: SweeperSettings
  private readonly metrics: IngestMetrics
  private readonly log: Logger

  constructor(pool: pg.Pool, admin: Admin, settings: SweeperSettings, metrics: IngestMetrics, log: Logger) {
    this.pool = pool
    this.admin = admin
    this.settings = settings
    this.metrics = metrics
    this.log = log
  }

  async runOnce(): Promise<Swept> {
    const swept: Swept = { published: 0, late: 0, incomplete: 0, purged: 0 }
    swept.published = await this.publishComplete()
    swept.late = await this.failLate()
    swept.incomplete = await this.failIncomplete()
    swept.purged = await this.purge()
    if (Object.values(swept).some((count) => count > 0)) this.log.info(swept, 'swept')
    return swept
  }

  private async publishComplete(): Promise<number> {
    const { rows } = await this.pool.query<{ no: bigint }>(
      `select b.no from batches b where b.state = 'open' and
         (select count(*) = max(total) from batch_chunks where batch_no = b.no) order by b.no limit 100`,
    )
    let published = 0
    for (const { no } of rows) {
      const ended = await publish(this.pool, no, this.settings.replies)
      if (!ended) continue
      published++
      const { state, error, rows: counts, chunks } = ended.verdict
      this.ended({ ...ended.batch, outcome: state, error: error?.code, rows: counts, chunks })
    }
    return published
  }

  private async failLate(): Promise<number> {
    await bindLate(this.pool, this.settings, this.metrics, this.log)
    const { rows } = await this.pool.query<LedgerBatch & { deadline: Date }>(
      `select ${BATCH_COLUMNS} from batches
       where state = 'open' and on_deadline = 'fail' and deadline < clock_timestamp() limit 100`,
    )
    let failed = 0
    for (const batch of rows) {
      const message = `it was not complete at ${batch.deadline.toISOString()}`
      if (await this.fail(batch, { code: 'deadline_passed', message })) failed++
    }
    return failed
  }

  /**
   * A batch is incomplete only once every partition of its lane was read to its end, or past the batch's last chunk by
   * the time limit: an outage of ours fails nobody. What was read is what the group has committed.
   */
  private async failIncomplete(): Promise<number> {
    const { chunkTimeoutSeconds, groups } = this.settings
    const { rows } = await this.pool.query<LedgerBatch & { topic: string | null; last: Date }>(OLD, [
      chunkTimeoutSeconds,
    ])
    // A partition was read to its end at the moment it is asked, so that moment has to be past the limit.
    const overdue = rows.filter(({ last }) => Date.now() > last.getTime() + chunkTimeoutSeconds * 1000)
    if (overdue.length === 0) return 0
    const lanes = new Map<string, PartitionProgress[]>()
    for (const [topic, group] of groups) lanes.set(topic, await this.admin.progress(group, topic))
    let failed = 0
    for (const batch of overdue) {
      const { no, topic, last } = batch
      const topics = topic === null ? [...groups.keys()] : [topic]
      const limit = new Date(last.getTime() + chunkTimeoutSeconds * 1000)
      let readPast = true
      for (const lane of topics) readPast &&= await this.wasReadPast(lane, lanes.get(lane) ?? [], limit)
      if (readPast && (await this.fail(batch, await this.incomplete(no)))) failed++
    }
    return failed
  }

  private async fail(batch: LedgerBatch, error: BatchError): Promise<boolean> {
    const ended = await endEarly(this.pool, batch.no, 'failed', error, this.settings.replies)
    const rows = { accepted: 0, rejected: 0 }
    if (ended) this.ended({ ...batch, outcome: 'failed', error: error.code, rows, chunks: null })
    return ended
  }

  private ended(batch: EndedBatch): void {
    batchEnded(this.metrics, this.log, batch, { stage: 'sweep' })
  }

  private async wasReadPast(topic: string, partitions: PartitionProgress[], limit: Date): Promise<boolean> {
    const behind = partitions.filter(({ committed, low, high }) => (committed ?? low) < high && low < high)
    if (behind.length === 0) return partitions.length > 0
    const { rows } = await this.pool.query<{ partition: number }>(
      'select distinct partition from batch_chunks where topic = $1 and partition = any($2) and record_time > $3',
      [topic, behind.map(({ partition }) => partition), limit],
    )
    return rows.length === behind.length
  }

  private async incomplete(
    batchNo: bigint,
  ): Promise<{ code: 'incomplete'; message: string; missingChunks?: number[] }> {
    const { rows } = await this.pool.query<{ total: number | null; missing: number[] | null }>(
      `with c as (select chunk, total from batch_chunks where batch_no = $1), t as (select max(total) as total from c)
       select t.total, (select array_agg(i) from (
         select i from generate_series(0, t.total - 1) i where not exists (select from c where c.chunk = i) limit 100) m) as missing
       from t`,
      [batchNo],
    )
    const { total, missing } = rows[0]!
    if (total === null) return { code: 'incomplete', message: 'the chunk that tells how many there are never came' }
    const all = missing ?? []
    return {
      code: 'incomplete',
      message: `of ${total} chunks these never came: ${all.slice(0, 20).join(', ')}${all.length > 20 ? ', …' : ''}`,
      missingChunks: all,
    }
  }

  /** Removes the packs of what nobody can bring back. Merged packs hold none of it. */
  private async purge(): Promise<number> {
    const { rows } = await this.pool.query<{ no: bigint }>(TO_PURGE, [this.settings.revertWindowDays * 86_400])
    for (const { no } of rows) {
      failpoint('before-purge')
      await withTransaction(this.pool, async (client) => {
        const held = await client.query(
          `update batches set purged_at = clock_timestamp() where no = $1 and purged_at is null and state in ('failed', 'cancelled', 'reverted', 'replaced')`,
          [no],
        )
        if (held.rowCount !== 1) return
        await client.query(REMOVE_PACKS, [no])
        await client.query('delete from hidden_batches where batch_no = $1', [no])
        failpoint('inside-purge')
      })
      failpoint('after-purge')
    }
    return rows.length
  }
}
