import path from 'node:path'
import { startKafka } from '@rates/local/kafka'
import { type Lifecycle } from '@rates/service/lifecycle'
import { copyProgram } from './copy.ts'
import { Inputs } from './inputs.ts'
import { type Plan } from './options.ts'
import { loadBatch } from './product.ts'
import { type Table, type Check } from './table.ts'
import { Site } from './site.ts'

/** What `npm start` gives PostgreSQL, and the memory that a server of this machine's size would have. */
export const TUNED = { shared_buffers: '1GB' }

/** PostgreSQL's own defaults, for all that we set otherwise. */
export const STOCK = { shared_buffers: '128MB', max_wal_size: '1GB', random_page_cost: '4' }

/** What all sections share. */
export interface Bench {
  plan: Plan
  dir: string
  inputs: Inputs
  /** What `\copy` is done by: Debian's psql where there is one. */
  program: 'psql' | 'pg'
  kafka: { brokers: string; pid: number; java: string; classpath: string }
  /** With the tuned PostgreSQL. */
  site: Site
  /** Another database, on the same broker. */
  openSite(name: string, postgres: Record<string, string>): Promise<Site>
  step(text: string): void
}

/** A section measures, and tells what it measured as tables; its result goes into the JSON as it is. */
export interface Section<Result> {
  run(bench: Bench): Promise<Result>
  tables(result: Result): Table[]
  checks(result: Result): Check[]
}

export async function prepare(plan: Plan, dir: string, lifecycle: Lifecycle): Promise<Bench> {
  const step = (text: string): void => void process.stderr.write(`${text}\n`)
  step('starting PostgreSQL and Kafka')
  const kafka = await startKafka({ dir: path.join(dir, 'kafka'), port: 0, onProgress: step })
  lifecycle.defer('kafka', () => kafka.stop())
  const openSite = (name: string, postgres: Record<string, string>): Promise<Site> =>
    Site.open({ name, dir, kafka, postgres })
  const site = await openSite('bench', {
    ...TUNED,
    ...(plan.profile !== undefined && { shared_preload_libraries: 'pg_stat_statements' }),
  })
  lifecycle.defer('the database', () => site.close())
  return { plan, dir, inputs: new Inputs(dir), program: await copyProgram(), kafka, site, openSite, step }
}

/** Workers whose code is compiled: the first batches of a worker find a cold JIT, and count for nobody. */
export async function warmWorkers(
  bench: Pick<Bench, 'inputs' | 'plan'>,
  site: Site,
  count: number,
  options: { env?: Record<string, string>; flags?: string[]; fresh?: boolean } = {},
): Promise<void> {
  if (!(await site.useWorkers(count, options))) return
  const rows = Math.min(bench.plan.rows, 200_000)
  const file = await bench.inputs.csv({ rows, order: 'pair' })
  for (let i = 0; i < 3; i++) await loadBatch(site, file, 'warm-up')
  await site.empty()
}
