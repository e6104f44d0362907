import { CAUSES, LOOP_STAGES, STAGES, type Stage, type StageSeconds } from '@rates/core/bottleneck'
import { type Pool } from 'pg'
import { type z } from 'zod'
import { type bottleneckSchema } from './bottleneck-schema.ts'
import { lastWindow, WINDOW_MS, type Sample } from './bottleneck-window.ts'

export type BottleneckView = z.output<typeof bottleneckSchema>

/** Several may look at the page: what it needs is asked once a second at most. */
const FRESH_MS = 1_000

interface WorkerRow {
  name: string
  version: string
  started_at: Date
  seen_at: Date
  ended_at: Date | null
  drain_seconds: number | null
}

interface LedgerRow {
  now: number
  batches: number
  stored: number
  published: number
  oldest: { id: string; at: number } | null
  urgent: { id: string; at: number } | null
  backlog: { records: number; rows: number; oldest_seconds: number } | null
}

const SAMPLES = `
select worker, round(extract(epoch from at) * 1000)::float8 as at, seconds from worker_stages
where at > clock_timestamp() - interval '5 minutes' order by worker, worker_stages.at`

const WORKERS = `
select name, version, started_at, seen_at, ended_at, drain_seconds from workers
where seen_at > clock_timestamp() - interval '10 minutes' order by name`

/**
 * What was stored and published within a minute: the newest 20 000 batches are more than ever ended in one. What waits
 * is what the leading worker saw of Kafka; what it saw half a minute ago is not told.
 */
const LEDGER = `
with open as (select no, id, deadline, created_at from batches where state = 'open'),
ended as (
  select no, chunks_expected, coalesce(rows_accepted + rows_rejected, 0) as rows
  from (select * from batches order by no desc limit 20000) newest
  where finished_at > clock_timestamp() - interval '1 minute'
),
several as (select no from open union all select no from ended where chunks_expected is distinct from 1)
select round(extract(epoch from clock_timestamp()) * 1000)::float8 as now,
  (select count(*)::int from open) as batches,
  ((select coalesce(sum(rows), 0) from ended where chunks_expected = 1)
    + (select coalesce(sum(c.rows), 0) from several join batch_chunks c on c.batch_no = several.no
        where c.stored_at > clock_timestamp() - interval '1 minute'))::float8 as stored,
  (select coalesce(sum(rows), 0) from ended)::float8 as published,
  (select jsonb_build_object('id', id, 'at', round(extract(epoch from created_at) * 1000)) from open
    order by created_at limit 1) as oldest,
  (select jsonb_build_object('id', id, 'at', round(extract(epoch from deadline) * 1000)) from open
    where deadline is not null order by deadline limit 1) as urgent,
  (select to_jsonb(backlog) from backlog where at > clock_timestamp() - interval '30 seconds') as backlog`

/** Which stage is the bottleneck, from what the workers write of their time and from the ledger. */
export class Bottleneck {
  readonly #pool: Pool
  #last: { at: number; view: Promise<BottleneckView> } | undefined

  constructor(pool: Pool) {
    this.#pool = pool
  }

  read(): Promise<BottleneckView> {
    if (this.#last === undefined || performance.now() - this.#last.at > FRESH_MS) {
      const view = this.#read()
      this.#last = { at: performance.now(), view }
      view.catch(() => (this.#last = undefined))
    }
    return this.#last.view
  }

  async #read(): Promise<BottleneckView> {
    // One after the other: the connections are there for those who read rates.
    const samples = await this.#pool.query<Sample>({ name: 'stages', text: SAMPLES })
    const workers = await this.#pool.query<WorkerRow>({ name: 'workers', text: WORKERS })
    const ledger = await this.#pool.query<LedgerRow>({ name: 'bottleneck', text: LEDGER })
    return viewOf(samples.rows, workers.rows, ledger.rows[0]!)
  }
}

function viewOf(samples: readonly Sample[], workers: readonly WorkerRow[], ledger: LedgerRow): BottleneckView {
  const { now, oldest, urgent } = ledger
  const { seconds, verdict, since, workers: reporting } = lastWindow(samples, now)
  const perSecond = (rows: number): number => (rows * 1000) / WINDOW_MS
  const rates: Partial<Record<Stage, number>> = {
    copy: perSecond(ledger.stored),
    publish: perSecond(ledger.published),
  }
  return {
    at: time(now),
    windowSeconds: WINDOW_MS / 1000,
    reporting,
    verdict: verdict ? { ...verdict, since: time(since!) } : null,
    stages: STAGES.map((stage) => ({
      stage,
      loop: (LOOP_STAGES as readonly Stage[]).includes(stage),
      ...partsOf(seconds[stage]),
      rowsPerSecond: rates[stage] ?? null,
    })),
    backlog: backlogOf(ledger),
    openBatches: ledger.batches,
    oldest: oldest && { id: oldest.id, createdAt: time(oldest.at), ageSeconds: (now - oldest.at) / 1000 },
    earliestDeadline: urgent && { id: urgent.id, at: time(urgent.at), slackSeconds: (urgent.at - now) / 1000 },
    workers: workers.map((worker) => ({
      name: worker.name,
      version: worker.version,
      startedAt: worker.started_at.toISOString(),
      seenAt: worker.seen_at.toISOString(),
      endedAt: worker.ended_at?.toISOString() ?? null,
      drainSeconds: worker.drain_seconds,
    })),
  }
}

/** The rows that wait in Kafka, and how long they take at the rate at which rows are stored now. */
function backlogOf({ backlog, stored }: LedgerRow): BottleneckView['backlog'] {
  if (backlog === null) return null
  const { records, rows, oldest_seconds: oldestSeconds } = backlog
  const drainSeconds = rows === 0 ? 0 : stored === 0 ? null : (rows * WINDOW_MS) / 1000 / stored
  return { records, rows, oldestSeconds, drainSeconds }
}

function partsOf({
  busy,
  idle,
  blocked,
}: StageSeconds): Pick<BottleneckView['stages'][number], 'score' | 'busy' | 'idle' | 'blocked'> {
  const all = busy + idle + Object.values(blocked).reduce((sum, each) => sum + each, 0)
  const part = (value = 0): number => (all > 0 ? Math.max(0, value / all) : 0)
  const { db, db_lock, pool, broker, downstream } = blocked
  const waits = { db: part(db), db_lock: part(db_lock), pool: part(pool), broker: part(broker) }
  const parts = { cpu: part(busy), ...waits }
  return {
    score: CAUSES.reduce((sum, cause) => sum + parts[cause], 0),
    busy: parts.cpu,
    idle: part(idle),
    blocked: { ...waits, downstream: part(downstream) },
  }
}

const time = (milliseconds: number): string => new Date(milliseconds).toISOString()
