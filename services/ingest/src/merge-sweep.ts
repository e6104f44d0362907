import { CROWD } from '@rates/core/merge-plan'
import { BrokenPack } from '@rates/core/stored-packs'
import { type Logger } from '@rates/service/log'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { mergeStep, type MergeSettings, type PairMonth } from './merge.ts'
import { type MaintenanceMetrics } from './maintenance-metrics.ts'
import { trimStep } from './retention-prices.ts'

export interface SweepSettings extends MergeSettings {
  /** Days after which the prices of a month go, counted from its last day; 0: never. */
  priceRetentionDays: number
  /** Entries of the index that one look takes in; by default so many that it lasts some tens of milliseconds. */
  page?: number
}

const PAGE = 50_000
/** Pair-months that one transaction is about at most; it is bounded by packs and prices besides. */
const STEP_MONTHS = 1_000
/** Packs that one transaction of retention removes, unless one pair and month has more. */
const STEP_PACKS = 5_000
/** A round is followed by a pause of at least this, and of nine times what counting took. */
const PAUSE_MILLISECONDS = 2_000
const LONGEST_REST_MILLISECONDS = 500

/**
 * The packs of each pair and month, from a place in the index on. It is all that is read, as far as the table was
 * vacuumed. A month is old when its last day is.
 */
const COUNT = `
select orig, dest, month::text as month, count(*)::int as packs,
  $4::float8 > 0 and month < date_trunc('month', (clock_timestamp() - make_interval(secs => $4)) at time zone 'UTC') as old
from (select orig, dest, month from price_packs where (orig, dest, month) >= ($1::int, $2::int, $3::date)
  order by orig, dest, month limit $5) p
group by orig, dest, month order by orig, dest, month`

interface Counted extends PairMonth {
  packs: number
  old: boolean
}

/**
 * Walks round after round through the index on pairs and months, and puts right what it finds there: pair-months with
 * many small packs, and months that are older than prices are kept. It keeps no record of how far it is: a round that
 * is broken off costs nothing but another one, and where nothing is to be done it only counts.
 *
 * Small steps, each followed by a rest of the same length: half of a connection's time at most goes into it.
 */
export class MergeSweep {
  private steps: AsyncGenerator<void, void> | undefined
  private pauseUntil = 0
  /** Pair-months with a pack that cannot be read: they are left as they are. */
  private readonly broken = new Set<string>()
  private readonly pool: pg.Pool
  private readonly settings: SweepSettings
  private readonly metrics: MaintenanceMetrics
  private readonly log: Logger

  constructor(pool: pg.Pool, settings: SweepSettings, metrics: MaintenanceMetrics, log: Logger) {
    this.pool = pool
    this.settings = settings
    this.metrics = metrics
    this.log = log
  }

  /** One step. @returns 0 if there is nothing to do for a while */
  async runOnce(): Promise<number> {
    if (performance.now() < this.pauseUntil) return 0
    const started = performance.now()
    this.steps ??= this.round()
    try {
      const { done } = await this.steps.next()
      if (!done) {
        await sleep(Math.min(performance.now() - started, LONGEST_REST_MILLISECONDS))
        return 1
      }
    } catch (error) {
      this.steps = undefined
      throw error
    }
    this.steps = undefined
    return 0
  }

  private async *round(): AsyncGenerator<void, void> {
    const round = { packs: 0, crowdedMonths: 0, crowdedPacks: 0, seconds: 0 }
    for (let from: PairMonth | undefined = { orig: 0, dest: 0, month: '0001-01-01' }; from;) {
      const started = performance.now()
      const page = await this.count(from)
      round.seconds += (performance.now() - started) / 1000
      yield
      for (const each of page.months) round.packs += each.packs
      const old = page.months.filter((each) => each.old)
      while (old.length > 0) {
        await this.trim(old)
        yield
      }
      const crowded = page.months.filter((each) => !each.old && each.packs >= CROWD && !this.broken.has(keyOf(each)))
      round.crowdedMonths += crowded.length
      for (const each of crowded) round.crowdedPacks += each.packs
      while (crowded.length > 0) {
        await this.merge(crowded)
        yield
      }
      from = page.next
    }
    const { rows } = await this.pool.query<{ count: number }>('select count(*)::int as count from hidden_batches')
    this.metrics.round({ ...round, hiddenBatches: rows[0]!.count })
    this.pauseUntil = performance.now() + Math.max(PAUSE_MILLISECONDS, round.seconds * 9_000)
  }

  private async count(from: PairMonth): Promise<{ months: Counted[]; next: PairMonth | undefined }> {
    const { priceRetentionDays, page = PAGE } = this.settings
    const { rows } = await this.pool.query<Counted>({
      name: 'count-packs',
      text: COUNT,
      values: [from.orig, from.dest, from.month, priceRetentionDays * 86_400, page],
    })
    const last = rows.at(-1)
    if (!last || rows.reduce((all, { packs }) => all + packs, 0) < page) return { months: rows, next: undefined }
    // The last one goes on behind the page. Only if it fills the page by itself is it taken as it is.
    if (rows.length === 1) return { months: rows, next: { ...last, month: dayAfter(last.month) } }
    return { months: rows.slice(0, -1), next: last }
  }

  /** Takes from the front of the list what is done. */
  private async merge(crowded: Counted[]): Promise<void> {
    const started = performance.now()
    try {
      const merged = await mergeStep(this.pool, crowded.slice(0, STEP_MONTHS), this.settings)
      // What others hold is left for the next round.
      crowded.splice(0, merged.removed > 0 ? merged.done : Math.max(merged.done, 1))
      this.metrics.merged(merged, (performance.now() - started) / 1000)
      if (merged.removed > 0) this.log.debug(merged, 'merged small packs')
    } catch (error) {
      if (!(error instanceof BrokenPack)) throw error
      this.metrics.refused()
      this.log.error({ err: error }, 'left a pair and month as it is: run "npm run verify"')
      const { orig, dest } = error.pack
      for (const each of crowded.filter((month) => month.orig === orig && month.dest === dest)) {
        this.broken.add(keyOf(each))
        crowded.splice(crowded.indexOf(each), 1)
      }
    }
  }

  private async trim(old: Counted[]): Promise<void> {
    let packs = 0
    const some = old.splice(
      0,
      Math.max(
        1,
        old.findIndex((each) => (packs += each.packs) > STEP_PACKS),
      ),
    )
    const trimmed = await trimStep(this.pool, some)
    this.metrics.trimmed(trimmed)
    if (trimmed > 0) this.log.info({ packs: trimmed, months: some.length }, 'removed prices that are too old')
  }
}

const keyOf = ({ orig, dest, month }: PairMonth): string => `${orig} ${dest} ${month}`

const dayAfter = (day: string): string => new Date(Date.parse(day) + 86_400_000).toISOString().slice(0, 10)
