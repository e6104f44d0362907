import { spawn } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { eventually } from './eventually.ts'
import { type Line } from './line.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
let started = 0

/** The settings of a worker on a line: short times, everything else as it is by default. */
export function workerEnvironment(
  line: Pick<Line, 'databaseUrl' | 'brokers' | 'prefix'>,
  overrides: Record<string, string> = {},
): Record<string, string> {
  return {
    DATABASE_URL: line.databaseUrl,
    KAFKA_BROKERS: line.brokers.join(','),
    KAFKA_PREFIX: line.prefix,
    HOST: '127.0.0.1',
    MANAGEMENT_PORT: '0',
    WORKER_NAME: `worker-${++started}`,
    SESSION_SECONDS: '6',
    DRAIN_SECONDS: '15',
    ...overrides,
  }
}

/** What is built starts in half the time and takes less memory, but only what was built from these sources counts. */
export function isBuilt(service: 'ingest' | 'rates-api'): boolean {
  if (process.env['RATES_BUILT'] === '1') return true // `npm test` and `npm run e2e` build first, and say so
  return ['libs/rates', 'libs/service', 'db', `services/${service}`].every((workspace) => {
    const times = (folder: string): number[] =>
      readdirSync(join(root, workspace, folder), { withFileTypes: true, recursive: true })
        .filter((entry) => entry.isFile() && !entry.name.includes('.test.'))
        .map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs)
    try {
      return Math.min(...times('dist')) > Math.max(...times('src'))
    } catch {
      return false // no dist
    }
  })
}

/** A service as a process of its own, so that it may be killed. */
export interface ServiceProcess {
  name: string
  pid: number
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  signal(name: NodeJS.Signals): void
  /** What it has logged, a parsed line each. */
  logged: Record<string, unknown>[]
  /** Waits until it has logged a message that starts so. */
  said(message: string, within?: number): Promise<Record<string, unknown>>
}

export function startWorkerProcess(
  line: Pick<Line, 'databaseUrl' | 'brokers' | 'prefix' | 'defer'>,
  overrides: Record<string, string> = {},
): Promise<ServiceProcess> {
  return startService(line, 'ingest', 'worker started', workerEnvironment(line, overrides))
}

/** The API as a process of its own, and where it answers. */
export async function startApiProcess(
  line: Pick<Line, 'databaseUrl' | 'brokers' | 'prefix' | 'defer'>,
  overrides: Record<string, string> = {},
): Promise<ServiceProcess & { url: string }> {
  const { DATABASE_URL, KAFKA_BROKERS, KAFKA_PREFIX } = workerEnvironment(line) as Record<string, string>
  const places = { HOST: '127.0.0.1', PORT: '0', MANAGEMENT_PORT: '0', ...overrides }
  const env = { DATABASE_URL: DATABASE_URL!, KAFKA_BROKERS: KAFKA_BROKERS!, KAFKA_PREFIX: KAFKA_PREFIX!, ...places }
  const api = await startService(line, 'rates-api', 'listening', env)
  const { port } = await api.said('listening')
  return { ...api, url: `http://127.0.0.1:${String(port)}` }
}

async function startService(
  line: Pick<Line, 'defer'>,
  service: 'ingest' | 'rates-api',
  ready: string,
  env: Record<string, string>,
): Promise<ServiceProcess> {
  const args = isBuilt(service)
    ? [`services/${service}/dist/main.js`]
    : ['--conditions=source', '--import', '@swc-node/register/esm-register', `services/${service}/src/main.ts`]
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
  })
  const logged: Record<string, unknown>[] = []
  const take = (text: string): void => {
    try {
      logged.push(JSON.parse(text) as Record<string, unknown>)
    } catch {
      logged.push({ msg: text })
    }
  }
  createInterface({ input: child.stdout }).on('line', take)
  createInterface({ input: child.stderr }).on('line', take)
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
    child.once('exit', (code, signal) => resolve({ code, signal })),
  )
  line.defer(async () => {
    child.kill('SIGKILL')
    await exited
  })
  const name = env['WORKER_NAME'] ?? service
  const said = (message: string, within = 60_000): Promise<Record<string, unknown>> =>
    eventually(() => Promise.resolve(logged.find(({ msg }) => typeof msg === 'string' && msg.startsWith(message))), {
      within,
      every: 20,
      what: `${name} saying "${message}"`,
    })
  const early = exited.then(({ signal }) => {
    // One that is to die may do so before it is all there.
    if (env['FAILPOINTS'] === undefined || signal !== 'SIGKILL')
      throw new Error(`${name} ended: ${JSON.stringify(logged)}`)
  })
  early.catch(() => undefined)
  await Promise.race([said(ready, 60_000), early])
  return { name, pid: child.pid!, exited, signal: (signal) => void child.kill(signal), logged, said }
}

/** Holds every COPY of packs back, in the middle of its chunk's transaction; or the insert of the chunk before it. */
export async function holdPacks(
  line: Pick<Line, 'pool' | 'defer'>,
  table: 'price_packs' | 'batch_chunks' = 'price_packs',
): Promise<{ waiting(count: number): Promise<void>; release(): Promise<void> }> {
  const client = await line.pool.connect()
  await client.query(`begin; lock table ${table} in share mode`)
  let held = true
  const release = async (): Promise<void> => {
    if (!held) return
    held = false
    await client.query('commit')
    client.release()
  }
  line.defer(release)
  const waiting = (count: number): Promise<true> =>
    eventually(
      async () => {
        const { rows } = await line.pool.query<{ n: number }>(
          // Workers, and another holdPacks(); not a purge, nor an autovacuum, which wait for the same lock.
          `select count(*)::int as n from pg_locks join pg_stat_activity a using (pid)
           where not granted and relation = '${table}'::regclass
             and database = (select oid from pg_database where datname = current_database())
             and a.query ~* '^\\s*(copy|insert into|begin; lock table) ${table}'`,
        )
        return rows[0]!.n >= count
      },
      { what: `${count} workers waiting in the middle of a chunk` },
    )
  return { waiting: async (count) => void (await waiting(count)), release }
}
