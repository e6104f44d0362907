import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { migrate } from '@rates/db/migrate'
import { forgetPostgres, startPostgres } from '@rates/local/postgres'
import { type LoggedProcess, spawnLogged } from '@rates/local/processes'
import { connectProducer, type Producer } from '@rates/service/kafka'
import { connectAdmin } from '@rates/service/kafka-admin'
import { Lifecycle } from '@rates/service/lifecycle'
import { createLogger } from '@rates/service/log'
import { ensureTopics, topicNames, type TopicNames } from '@rates/service/topics'
import pg from 'pg'
import { root } from '../home.ts'
import { watchMemory, type Peaks } from './processes.ts'
import { benchCodes } from './rows.ts'

/** The young generation as `npm start` has it. */
const nodeFlags = ['--max-semi-space-size=4']
const stopMs = 10_000

/** Longer than the workers are ever frozen; and nothing is merged unless a section wants it. */
const workerSettings = { SESSION_SECONDS: '120', COMPACT_AFTER_SECONDS: '86400' }

/** The regions that region to region is read of: ten ports each. */
export const REGIONS = ['bench_from', 'bench_to'] as const

export interface SiteOptions {
  /** Names its folder, and precedes its topics. */
  name: string
  dir: string
  kafka: { brokers: string; pid: number }
  /** Settings of PostgreSQL. */
  postgres: Record<string, string>
}

/** A database of the benchmark's own, its topics on the shared broker, and the product's processes on both. */
export class Site {
  readonly options: SiteOptions
  readonly log = createLogger('bench', 'warn')
  private readonly lifecycle = new Lifecycle()
  url = ''
  postgresPid = 0
  db!: pg.Pool
  producer!: Producer
  topics!: TopicNames
  private running: { key: string; workers: LoggedProcess[] } | undefined
  private api: { url: string; pid: number } | undefined
  private started = 0

  private constructor(options: SiteOptions) {
    this.options = options
  }

  static async open(options: SiteOptions): Promise<Site> {
    const site = new Site(options)
    try {
      await site.start()
      return site
    } catch (error) {
      await site.close()
      throw error
    }
  }

  private async start(): Promise<void> {
    const { name, dir, kafka, postgres: extra } = this.options
    const data = path.join(dir, name, 'postgres') // a folder of its own above it, which goes with it
    this.lifecycle.defer('the data', () => forgetPostgres(data))
    const postgres = await startPostgres({ dir: data, port: 0, extra })
    this.lifecycle.defer('postgres', () => postgres.stop())
    this.url = postgres.url
    this.postgresPid = postgres.pid
    await migrate(postgres.url)
    this.db = new pg.Pool({ connectionString: postgres.url, max: 6 })
    this.db.on('error', () => undefined)
    this.lifecycle.defer('connections', () => this.db.end())
    await this.addPorts()
    const settings = { brokers: [kafka.brokers], clientId: 'bench', log: this.log }
    const admin = await connectAdmin(settings)
    await ensureTopics(admin, this.prefix)
    await admin.close()
    this.topics = topicNames(this.prefix)
    this.producer = await connectProducer(settings)
    this.lifecycle.defer('producer', () => this.producer.close())
    this.lifecycle.defer('workers', () => this.stopWorkers())
  }

  private get prefix(): string {
    return `${this.options.name}.`
  }

  private async addPorts(): Promise<void> {
    await this.db.query(`insert into regions (slug, name) select x, x from unnest($1::text[]) x`, [
      ['bench', ...REGIONS],
    ])
    const regions = benchCodes.map((_, i) => (i < 10 ? REGIONS[0] : i < 20 ? REGIONS[1] : 'bench'))
    await this.db.query(
      `insert into ports (code, name, parent_slug) select c, c, r from unnest($1::text[], $2::text[]) as x(c, r)`,
      [benchCodes, regions],
    )
  }

  get workers(): readonly LoggedProcess[] {
    return this.running?.workers ?? []
  }

  /** The workers told, and only they: started anew if others run, or `fresh`. Their JIT is cold then. */
  async useWorkers(
    count: number,
    options: { env?: Record<string, string>; flags?: string[]; fresh?: boolean } = {},
  ): Promise<boolean> {
    const { env = {}, flags = [], fresh = false } = options
    const key = JSON.stringify([count, env, flags])
    if (!fresh && this.running?.key === key) return false
    await this.stopWorkers()
    const starts = Array.from({ length: count }, () => this.spawn('ingest', 'worker started', flags, env))
    const started = await Promise.all(starts)
    this.running = { key, workers: started.map(({ child }) => child) }
    return true
  }

  async stopWorkers(): Promise<void> {
    const { workers = [] } = this.running ?? {}
    this.running = undefined
    await Promise.all(workers.map((each) => each.stop('SIGTERM', stopMs)))
  }

  /** The API, started at the first use. */
  async useApi(): Promise<{ url: string; pid: number }> {
    if (this.api) return this.api
    const { child, said } = await this.spawn('rates-api', 'listening', [], { PORT: '0' })
    this.lifecycle.defer('api', async () => void (await child.stop('SIGTERM', stopMs)))
    this.api = { url: `http://127.0.0.1:${String(said['port'])}`, pid: child.pid }
    return this.api
  }

  private async spawn(
    service: 'ingest' | 'rates-api',
    ready: string,
    flags: string[],
    env: Record<string, string>,
  ): Promise<{ child: LoggedProcess; said: Record<string, unknown> }> {
    const name = `${service}-${++this.started}`
    const inherited = { ...process.env }
    delete inherited['NODE_OPTIONS']
    const log = path.join(this.options.dir, `${this.options.name}-${name}.log`)
    const main = path.join(root, 'services', service, 'dist', 'main.js')
    const child = await spawnLogged(process.execPath, [...nodeFlags, ...flags, main], {
      log,
      env: {
        ...inherited,
        DATABASE_URL: this.url,
        KAFKA_BROKERS: this.options.kafka.brokers,
        KAFKA_PREFIX: this.prefix,
        MANAGEMENT_PORT: '0',
        HOST: '127.0.0.1',
        ...(service === 'ingest' && { ...workerSettings, WORKER_NAME: name }),
        ...env,
      },
    })
    let ended = false
    void child.exited.then(() => (ended = true))
    for (const deadline = Date.now() + 60_000; ; await sleep(50)) {
      const lines = await child.said()
      const line = lines.split('\n').find((each) => each.includes(`"msg":"${ready}`))
      if (line !== undefined) return { child, said: JSON.parse(line) as Record<string, unknown> }
      if (!ended && Date.now() < deadline) continue
      await child.stop('SIGKILL', 1)
      throw new Error(`${name} did not start:\n${lines}`)
    }
  }

  /** Forgets all batches and prices: each run finds empty tables, as its rivals do. Nobody may be loading. */
  async empty(): Promise<void> {
    await this.db.query('truncate price_packs, hidden_batches, outbox, batches cascade')
  }

  /** WAL and memory of what `work` does, after a checkpoint. */
  async measure<T>(work: () => Promise<T>): Promise<{ result: T; walBytes: number; peaks: Peaks }> {
    await this.db.query('checkpoint')
    const { rows: before } = await this.db.query<{ at: string }>('select pg_current_wal_lsn() as at')
    const stop = await watchMemory({
      workers: this.workers.map(({ pid }) => pid),
      postgres: this.postgresPid,
      broker: this.options.kafka.pid,
    })
    let result: T
    let peaks: Peaks
    try {
      result = await work()
    } finally {
      peaks = await stop()
    }
    const { rows: after } = await this.db.query<{ wal: number }>(
      'select pg_wal_lsn_diff(pg_current_wal_lsn(), $1)::float8 as wal',
      [before[0]!.at],
    )
    return { result, walBytes: after[0]!.wal, peaks }
  }

  close(): Promise<void> {
    return this.lifecycle.stop()
  }
}
