import { type WorkerSeconds } from '@rates/core/bottleneck'
import { type Logger } from '@rates/service/log'
import type pg from 'pg'

const EVERY_MILLISECONDS = 5_000

const BEGIN = `
insert into workers (name, version) values ($1, $2)
on conflict (name) do update set version = excluded.version, started_at = clock_timestamp(), seen_at = clock_timestamp(),
  ended_at = null, drain_seconds = null, drain_counted = false`

const WRITE = `
with seen as (update workers set seen_at = clock_timestamp(), drain_seconds = $3 where name = $1),
  old as (delete from worker_stages where worker = $1 and at < clock_timestamp() - interval '5 minutes')
insert into worker_stages (worker, seconds) values ($1, $2)`

/**
 * Writes into PostgreSQL that this worker lives, how its stages spend their time, and how long it took to stop. What
 * fails is left out: nothing waits for it.
 */
export class WorkerRecord {
  private timer: NodeJS.Timeout | undefined
  private writing: Promise<void> | undefined
  private begun = false
  private told: number | undefined
  private readonly pool: pg.Pool
  private readonly name: string
  private readonly version: string
  private readonly read: () => WorkerSeconds
  private readonly log: Logger

  constructor(pool: pg.Pool, name: string, version: string, read: () => WorkerSeconds, log: Logger) {
    this.pool = pool
    this.name = name
    this.version = version
    this.read = read
    this.log = log
  }

  start(): void {
    this.write()
    this.timer = setInterval(() => this.write(), EVERY_MILLISECONDS)
  }

  /** The worker was told to stop: until it has, its drain_seconds say for how long it tries. */
  stopping(): void {
    if (this.told !== undefined) return
    this.told = performance.now()
    this.write()
  }

  /** Everything else has stopped. */
  async stop(): Promise<void> {
    clearInterval(this.timer)
    await this.writing
    if (!this.begun) return
    await this.attempt('update workers set ended_at = clock_timestamp(), drain_seconds = $2 where name = $1', [
      this.name,
      this.drained,
    ])
  }

  /** Seconds since it was told to stop. */
  private get drained(): number | null {
    return this.told === undefined ? null : (performance.now() - this.told) / 1000
  }

  /** One at a time: a database that is slow is not made slower. */
  private write(): void {
    this.writing ??= this.tell().finally(() => (this.writing = undefined))
  }

  private async tell(): Promise<void> {
    this.begun ||= await this.attempt(BEGIN, [this.name, this.version])
    if (this.begun) await this.attempt(WRITE, [this.name, JSON.stringify(rounded(this.read())), this.drained])
  }

  private async attempt(text: string, values: unknown[]): Promise<boolean> {
    try {
      await this.pool.query(text, values)
      return true
    } catch (error) {
      this.log.debug({ err: error }, 'could not write the record of this worker')
      return false
    }
  }
}

/** To milliseconds. */
const rounded = (seconds: WorkerSeconds): unknown =>
  JSON.parse(
    JSON.stringify(seconds, (_, value: unknown) => (typeof value === 'number' ? Number(value.toFixed(3)) : value)),
  )
