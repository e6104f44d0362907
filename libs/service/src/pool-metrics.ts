import { type EventEmitter } from 'node:events'
import { performance } from 'node:perf_hooks'
import { type Pool, type PoolClient } from 'pg'
import { Gauge, Histogram, type Registry } from 'prom-client'
import { COMMITTED } from './postgres.ts'

type Release = (release?: Error | boolean) => void
type Connected = (error: Error | undefined, client: PoolClient | undefined, release: Release) => void

/**
 * Measures how long each taker of a connection waits for it, per pool. A histogram of waits and not the length of the
 * queue, which hides what happens between two scrapes. Call it once, with all the pools of the process.
 */
export function measurePools(registry: Registry, pools: Readonly<Record<string, Pool>>): void {
  const waits = new Histogram({
    name: 'rates_db_pool_wait_seconds',
    help: 'How long a taker waited for a connection of the pool.',
    labelNames: ['pool'],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
    registers: [registry],
  })
  new Gauge({
    name: 'rates_db_pool_connections',
    help: 'Connections of the pool by what they do.',
    labelNames: ['pool', 'state'],
    registers: [registry],
    collect() {
      for (const [name, pool] of Object.entries(pools)) {
        this.set({ pool: name, state: 'idle' }, pool.idleCount)
        this.set({ pool: name, state: 'busy' }, pool.totalCount - pool.idleCount)
      }
    },
  })
  const commits = new Histogram({
    name: 'rates_db_commit_duration_seconds',
    help: 'How long PostgreSQL took for a COMMIT.',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5],
    registers: [registry],
  })
  for (const [name, pool] of Object.entries(pools)) {
    ;(pool as EventEmitter).on(COMMITTED, (seconds: number) => commits.observe(seconds))
    const wait = waits.labels({ pool: name })
    waits.zero({ pool: name })
    const connect = pool.connect.bind(pool) as { (): Promise<PoolClient>; (connected: Connected): void }
    // pool.query() connects by a callback, everyone else by a promise.
    pool.connect = ((connected?: Connected) => {
      const asked = performance.now()
      const measure = (): void => wait.observe((performance.now() - asked) / 1e3)
      if (connected === undefined) return connect().finally(measure)
      connect((error, client, release) => {
        measure()
        connected(error, client, release)
      })
    }) as Pool['connect']
  }
}
