import type pg from 'pg'
import { type Logger } from './log.ts'

const SECONDS = 10
const RENEW_MILLISECONDS = 3_000

/**
 * A lease that one process at a time holds, kept in PostgreSQL by its clock. Not an advisory lock: those need a direct
 * connection, and vanish unnoticed with it. Work done under it must be harmless if two do it for a moment.
 */
export class Lease {
  private held = false
  private timer: NodeJS.Timeout | undefined
  private heldUntil = 0
  private readonly pool: pg.Pool
  private readonly name: string
  private readonly holder: string
  private readonly log: Logger

  constructor(pool: pg.Pool, name: string, holder: string, log: Logger) {
    this.pool = pool
    this.name = name
    this.holder = holder
    this.log = log
  }

  start(): void {
    void this.renew()
    this.timer = setInterval(() => void this.renew(), RENEW_MILLISECONDS)
  }

  /** True while this process holds the lease, by its own monotonic clock with a margin. */
  get mine(): boolean {
    return this.held && performance.now() < this.heldUntil
  }

  /** Gives the lease back, so that another process need not wait for it to run out. */
  async stop(): Promise<void> {
    clearInterval(this.timer)
    if (!this.held) return
    this.held = false
    await this.pool.query('delete from leases where name = $1 and holder = $2', [this.name, this.holder])
  }

  private async renew(): Promise<void> {
    const asked = performance.now()
    try {
      const { rowCount } = await this.pool.query(
        `insert into leases as l (name, holder, until) values ($1, $2, clock_timestamp() + make_interval(secs => $3))
         on conflict (name) do update set holder = excluded.holder, until = excluded.until
         where l.holder = excluded.holder or l.until < clock_timestamp()`,
        [this.name, this.holder, SECONDS],
      )
      const won = rowCount === 1
      if (won !== this.held) this.log.info({ lease: this.name, held: won }, won ? 'took the lease' : 'lost the lease')
      this.held = won
      if (won) this.heldUntil = asked + (SECONDS - 2) * 1000
    } catch (error) {
      this.log.warn({ err: error, lease: this.name }, 'could not renew the lease')
    }
  }
}
