import { type Admin } from '@rates/service/kafka-admin'
import { Lease } from '@rates/service/lease'
import { type Lifecycle } from '@rates/service/lifecycle'
import { type Logger } from '@rates/service/log'
import type pg from 'pg'
import { Counter, Histogram, type Registry } from 'prom-client'
import { LeaderGauges, type SystemState } from './leader-gauges.ts'
import { whileLeader } from './relay.ts'
import { SystemLook, type Read } from './system-state.ts'
import { findViolations, VIOLATIONS } from './violations.ts'

const LOOK_MILLISECONDS = 5_000
const VIOLATIONS_MILLISECONDS = 60_000
/** A look may fail now and then: what the last one told holds so long. */
const HOLDS_MILLISECONDS = 15_000

export interface SystemMetricsOptions {
  pool: pg.Pool
  admin: Admin
  read: Read
  /** Whether batches that fail have webhooks. */
  webhooks: boolean
  prefix: string
  worker: string
  registry: Registry
  log: Logger
}

/** Metrics of the whole system, from the one worker that holds the lease. Two for a moment are harmless. */
export function startSystemMetrics(options: SystemMetricsOptions, lifecycle: Lifecycle): void {
  const { pool, admin, read, webhooks, prefix, worker, registry, log } = options
  const gauges = new LeaderGauges(registry)
  const watch = new ViolationWatch(pool, registry, log)
  const drains = drainDurations(registry)
  const system = new SystemLook(pool, admin, read, webhooks)
  const lease = new Lease(pool, `${prefix}system-metrics`, worker, log)
  lease.start()
  lifecycle.defer('system metrics lease', () => lease.stop())
  let shownAt = -Infinity
  const look = async (): Promise<void> => {
    const state = await system.look()
    if (lease.mine) {
      gauges.show(state)
      shownAt = performance.now()
      await tellBacklog(pool, state)
    }
    await countDrains(pool, drains)
  }
  const looking = whileLeader(lease, 'system metrics', 1_000, log, every(LOOK_MILLISECONDS, look))
  const watching = whileLeader(
    lease,
    'invariants',
    1_000,
    log,
    every(VIOLATIONS_MILLISECONDS, () => watch.look()),
  )
  // What was true a while ago must not stay, neither without the lease nor while the system cannot be seen.
  const hiding = setInterval(() => {
    if (!lease.mine || performance.now() - shownAt > HOLDS_MILLISECONDS) gauges.hide()
  }, 1_000)
  lifecycle.defer('system metrics', async () => {
    clearInterval(hiding)
    await Promise.all([looking.stop(), watching.stop()])
    gauges.hide()
  })
}

/** Writes what waits, for whoever asks PostgreSQL. */
async function tellBacklog(pool: pg.Pool, { backlogRows, lags }: SystemState): Promise<void> {
  await pool.query(
    `insert into backlog (at, records, rows, oldest_seconds) values (clock_timestamp(), $1, $2, $3)
     on conflict (single) do update
     set at = excluded.at, records = excluded.records, rows = excluded.rows, oldest_seconds = excluded.oldest_seconds`,
    [
      lags.reduce((sum, { messages }) => sum + messages, 0),
      backlogRows,
      lags.reduce((most, { seconds }) => Math.max(most, seconds), 0),
    ],
  )
}

/** The step of a loop, done so often at most; one that fails is done again at once. */
function every(milliseconds: number, step: () => Promise<void>): () => Promise<number> {
  let next = -Infinity
  return async () => {
    if (performance.now() < next) return 0
    await step()
    next = performance.now() + milliseconds
    return 0
  }
}

/** Each batch is counted, and told, once for each invariant that it breaks. */
export class ViolationWatch {
  private readonly told = new Set<string>()
  private readonly pool: pg.Pool
  private readonly log: Logger
  private readonly counter: Counter<'invariant'>

  constructor(pool: pg.Pool, registry: Registry, log: Logger) {
    this.pool = pool
    this.log = log
    this.counter = new Counter({
      name: 'rates_ingest_invariant_violations_total',
      help: 'Batches that were found to break an invariant, each counted once by the worker that leads.',
      labelNames: ['invariant'],
      registers: [registry],
    })
    for (const invariant of Object.keys(VIOLATIONS)) this.counter.inc({ invariant }, 0)
  }

  async look(): Promise<void> {
    for (const [invariant, ids] of await findViolations(this.pool)) {
      for (const id of ids) {
        const key = `${invariant} ${id}`
        if (this.told.has(key)) continue
        this.told.add(key)
        this.counter.inc({ invariant })
        this.log.error({ batch_id: id, invariant }, 'an invariant is violated')
      }
    }
  }
}

const drainDurations = (registry: Registry): Histogram =>
  new Histogram({
    name: 'rates_ingest_drain_duration_seconds',
    help: 'From a worker being told to stop to its end.',
    buckets: [0.5, 1, 2.5, 5, 10, 15, 20, 25, 30, 60],
    registers: [registry],
  })

/** A worker's last words, counted once by whoever leads; workers that nobody has seen for a day are forgotten. */
export async function countDrains(pool: pg.Pool, durations: Pick<Histogram, 'observe'>): Promise<void> {
  const { rows } = await pool.query<{ seconds: number }>(
    `update workers set drain_counted = true where ended_at is not null and drain_seconds is not null and not drain_counted
     returning drain_seconds::float8 as seconds`,
  )
  for (const { seconds } of rows) durations.observe(seconds)
  await pool.query(`delete from workers where seen_at < clock_timestamp() - interval '1 day'`)
  await pool.query(
    `delete from worker_stages s using workers w where w.name = s.worker and s.at < clock_timestamp() - interval '5 minutes'
       and w.seen_at < clock_timestamp() - interval '1 minute'`,
  )
}
