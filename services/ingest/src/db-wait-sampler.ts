import { type LoopStage } from '@rates/core/bottleneck'
import type pg from 'pg'
import { Counter, type Registry } from 'prom-client'
import { type LoopClock } from './loop-clock.ts'

const EVERY_MILLISECONDS = 1_000

/** The wait of one backend; it shows as null in between, while it runs on a CPU. */
const LOOK = `
select coalesce(wait_event_type, 'CPU') as type, coalesce(wait_event, 'CPU') as event
from pg_stat_activity where pid = $1 and state = 'active'`

/**
 * Looks once a second, while the loop waits for PostgreSQL, what the loop's connection waits for there. It looks by a
 * connection of its own, so that it sees also while the pool is used up, and disturbs nobody: what fails is counted.
 */
export class DbWaitSampler {
  /** The connection that the loop has. */
  client: pg.PoolClient | undefined
  private timer: NodeJS.Timeout | undefined
  private looking: Promise<void> | undefined
  private readonly pool: pg.Pool
  private readonly clock: Pick<LoopClock<LoopStage>, 'inDatabase' | 'sample'>
  private readonly samples: Counter<'wait_event_type' | 'wait_event'>

  /** @param pool of this sampler alone */
  constructor(pool: pg.Pool, clock: Pick<LoopClock<LoopStage>, 'inDatabase' | 'sample'>, registry: Registry) {
    this.pool = pool
    this.clock = clock
    this.samples = new Counter({
      name: 'rates_db_wait_samples_total',
      help: 'Looks, once a second while the loop waits for PostgreSQL, by what its backend waited for.',
      labelNames: ['wait_event_type', 'wait_event'],
      registers: [registry],
    })
    this.samples.inc({ wait_event_type: 'CPU', wait_event: 'CPU' }, 0)
  }

  start(): void {
    this.timer = setInterval(() => {
      // A look that takes long is not joined by others.
      if (this.clock.inDatabase) this.looking ??= this.look().finally(() => (this.looking = undefined))
    }, EVERY_MILLISECONDS)
  }

  async stop(): Promise<void> {
    clearInterval(this.timer)
    await this.looking
    await this.pool.end()
  }

  private async look(): Promise<void> {
    // node-postgres knows it since the connection was made; its types do not.
    const { processID: pid } = (this.client ?? {}) as { processID?: number | null }
    // Without a connection it waits for one, or for the next try.
    if (pid === undefined || pid === null) return this.clock.sample(false)
    try {
      const { rows } = await this.pool.query<{ type: string; event: string }>({
        name: 'look',
        text: LOOK,
        values: [pid],
      })
      const [wait] = rows
      if (!wait) return // it has ended meanwhile
      this.samples.inc({ wait_event_type: wait.type, wait_event: wait.event })
      this.clock.sample(wait.type === 'Lock')
    } catch {
      this.clock.sample(false)
      this.samples.inc({ wait_event_type: 'none', wait_event: 'look_failed' })
    }
  }
}
