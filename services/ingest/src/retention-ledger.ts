import { failpoint } from '@rates/service/failpoints'
import { type Logger } from '@rates/service/log'
import { withTransaction } from '@rates/service/postgres'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { type MaintenanceMetrics } from './maintenance-metrics.ts'

/** Rows of the ledger that one look takes in. */
const PAGE = 2_000
/** Batches, and chunks of them, that one transaction removes. */
const STEP_BATCHES = 200
const STEP_CHUNKS = 20_000
const ROUND_MILLISECONDS = 3_600_000

/**
 * Batches whose prices are gone: dry runs, purged ones, ones without a row, and those of which retention has taken all.
 * Whether one of the last kind has packs left is asked apart.
 */
const GONE = `
(dry_run or purged_at is not null or (state = 'succeeded' and (rows_accepted = 0 or trimmed_at is not null)))`

const LOOK = `
select no::float8 as no, chunks::float8, trimmed, gone, recent from (
  select no, coalesce(chunks_expected, 1) as chunks, trimmed_at is not null as trimmed,
    state <> 'open' and finished_at < clock_timestamp() - make_interval(secs => $2)
      and ${GONE} as gone,
    created_at > clock_timestamp() - make_interval(secs => $2) as recent
  from batches where no > $1 order by no limit ${PAGE}) b`

interface Looked {
  no: number
  chunks: number
  trimmed: boolean
  gone: boolean
  recent: boolean
}

/** Which of these batches have packs: of their own, in one look at the table, or in merged ones. */
const WITH_PACKS = `
select distinct batch_no::float8 as no from price_packs
where batches is null and batch_no between (select min(u) from unnest($1::bigint[]) u) and (select max(u) from unnest($1::bigint[]) u)
  and batch_no = any($1)
union all
select u::float8 from unnest($1::bigint[]) u where exists (select from price_packs where batches @> array[u])`

/**
 * A reply keeps its batch until it was sent, and as long as its record may come again: a `control: revert` of last week
 * must find its reply, though the batch is much older. Held `for update`, so that nobody brings one back meanwhile.
 */
const HOLD = `
select no from batches b where no = any($1) and state <> 'open' and ${GONE}
  and not exists (select from outbox o where o.batch_id = b.id
    and (o.sent_at is null or o.created_at > clock_timestamp() - make_interval(secs => $2)))
order by no for update skip locked`

/** A dry run and the batch that has its id have replies of their own, which their ids tell. */
const REPLIES = `
delete from outbox o using batches b
where b.no = any($1) and o.batch_id = b.id and starts_with(o.reply_id, b.id || '/dry-run/') = b.dry_run`

/**
 * Forgets batches that ended longer ago than the ledger is kept, once their prices are gone: their row, chunks, upload
 * and replies. Their ids are free again then, and a record of theirs that Kafka still has would be a new batch: the
 * ledger has to be kept longer than the topics are. A round each hour, in small transactions.
 */
export class LedgerRetention {
  private steps: AsyncGenerator<void, void> | undefined
  private pauseUntil = 0
  private readonly pool: pg.Pool
  private readonly days: number
  private readonly metrics: MaintenanceMetrics
  private readonly log: Logger

  constructor(pool: pg.Pool, days: number, metrics: MaintenanceMetrics, log: Logger) {
    this.pool = pool
    this.days = days
    this.metrics = metrics
    this.log = log
  }

  /** One step. @returns 0 if there is nothing to do for a while */
  async runOnce(): Promise<number> {
    if (this.days === 0 || performance.now() < this.pauseUntil) return 0
    const started = performance.now()
    this.steps ??= this.round()
    try {
      const { done } = await this.steps.next()
      if (done) this.steps = undefined
      else await sleep(Math.min(performance.now() - started, 500))
      return done ? 0 : 1
    } catch (error) {
      this.steps = undefined
      throw error
    }
  }

  private async *round(): AsyncGenerator<void, void> {
    let forgotten = 0
    for (let from = 0, ended = false; !ended;) {
      const { rows } = await this.pool.query<Looked>({
        name: 'ledger-page',
        text: LOOK,
        values: [from, this.days * 86_400],
      })
      const gone = await this.withoutPacks(rows.filter(({ gone }) => gone))
      while (gone.length > 0) {
        let chunks = 0
        const some = gone.findIndex((batch, i) => i === STEP_BATCHES || (chunks += batch.chunks) > STEP_CHUNKS)
        forgotten += await this.forget(
          gone.splice(0, some === -1 ? gone.length : Math.max(some, 1)).map(({ no }) => no),
        )
        yield
      }
      // Numbers rise with the time, or nearly so: what is missed for that is met by a later round.
      ended = rows.length < PAGE || rows.every(({ recent }) => recent)
      from = rows.at(-1)?.no ?? from
      yield
    }
    await this.pool.query('delete from record_attempts where last_at < clock_timestamp() - make_interval(secs => $1)', [
      this.days * 86_400,
    ])
    if (forgotten > 0) this.log.info({ batches: forgotten }, 'forgot batches that are older than the ledger is kept')
    this.metrics.ledgerRound()
    this.pauseUntil = performance.now() + ROUND_MILLISECONDS
  }

  private async withoutPacks(batches: Looked[]): Promise<Looked[]> {
    const trimmed = batches.filter((batch) => batch.trimmed).map(({ no }) => no)
    if (trimmed.length === 0) return batches
    const { rows } = await this.pool.query<{ no: number }>(WITH_PACKS, [trimmed])
    const kept = new Set(rows.map(({ no }) => no))
    return batches.filter(({ no }) => !kept.has(no))
  }

  private async forget(batches: number[]): Promise<number> {
    const count = await withTransaction(this.pool, async (client) => {
      const held = await client.query<{ no: bigint }>({
        name: 'ledger-hold',
        text: HOLD,
        values: [batches, this.days * 86_400],
      })
      const numbers = held.rows.map(({ no }) => no)
      if (numbers.length === 0) return 0
      await client.query(REPLIES, [numbers])
      for (const table of ['uploads', 'batch_chunks', 'hidden_batches']) {
        await client.query(`delete from ${table} where batch_no = any($1)`, [numbers])
      }
      await client.query('delete from batches where no = any($1)', [numbers])
      failpoint('inside-forget')
      return numbers.length
    })
    this.metrics.forgotten(count)
    return count
  }
}
