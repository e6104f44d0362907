import { join } from 'node:path'
import { migrate } from '@rates/db/migrate'
import { Missing } from '@rates/local/java'
import { startKafka } from '@rates/local/kafka'
import { requireKafka } from '@rates/local/kafka-jars'
import { startPostgres } from '@rates/local/postgres'
import { embeddedBinaries } from '@rates/local/postgres-binaries'
import { requirePrometheus } from '@rates/local/prometheus'
import { connectAdmin } from '@rates/service/kafka-admin'
import { ensureTopics } from '@rates/service/topics'
import { kafkaSettings } from './brokers.ts'
import { ensureDatabase, withDatabase } from './database.ts'
import { demo } from './demo.ts'
import { folders, short } from './home.ts'
import { objectStoreEnv, requireObjectStore, startInbox } from './object-store.ts'
import { startMonitoring } from './prometheus.ts'
import { managementUrl, startService, type RunningService, type ServiceSpec } from './services.ts'
import { givenDatabase, type State, writeState } from './running.ts'
import { type Status } from './status.ts'
import { type Part, Supervised } from './supervise.ts'

const wantedPorts = { postgres: 5432, kafka: 9092, prometheus: 9090, objectStore: 7070 }

export interface StartOptions {
  /** The port wanted for the API. */
  port: number
  /** The address that the API listens on. */
  host: string
  workers: number
  demo: boolean
  /** Whether a Prometheus runs beside it, or the program to run. */
  monitoring?: string | true
  /** Whether an object store runs beside it, or the program to run. */
  objectStore?: string | true
}

export interface System {
  options: StartOptions
  status: Status
  /** What runs, by its name. */
  parts: Map<string, Supervised>
  state: State
  /** Aborted when everything is to stop: what has not begun then is not begun. */
  signal: AbortSignal
}

/** Starts all parts and keeps them running. */
export async function bringUp(system: System): Promise<void> {
  await requireServers(system.options)
  await together([database(system), broker(system)])
  await save(system, { phase: 'starting' })
  if (system.options.objectStore) await objectStore(system)
  await services(system)
  if (system.options.monitoring) await monitoring(system)
  if (system.options.demo) await demo(system)
  await save(system, { phase: 'running' })
}

/** All that this machine lacks is told at once, before anything starts. */
async function requireServers(options: StartOptions) {
  const checks: Promise<unknown>[] = []
  if (!process.env['KAFKA_BROKERS']) checks.push(requireKafka())
  if (!process.env['DATABASE_URL']) checks.push(embeddedBinaries())
  if (options.monitoring) checks.push(requirePrometheus(named(options.monitoring)))
  if (options.objectStore) checks.push(requireObjectStore(named(options.objectStore)))
  const faults: string[] = []
  for (const check of await Promise.allSettled(checks)) {
    if (check.status === 'rejected') faults.push((check.reason as Error).message)
  }
  if (faults.length > 0) throw new Missing(faults.join('\n'))
}

export async function save(system: System, change: Partial<State>): Promise<void> {
  Object.assign(system.state, change)
  await writeState(folders.state, system.state)
}

/** Waits for all, also when one fails: what the others have started must be known before it can be stopped. */
async function together(work: Promise<unknown>[]) {
  const failed = (await Promise.allSettled(work)).find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

async function database(system: System) {
  const { status, state, signal } = system
  const given = givenDatabase(process.env)
  if (given) {
    state.databaseUrl = given
    await status.step(
      'PostgreSQL',
      () => ensureDatabase(given),
      () => `DATABASE_URL: ${new URL(given).host}`,
    )
  } else {
    const start = (onProgress: (note: string) => void, port: number) =>
      startPostgres({ dir: folders.postgres, port, log: join(folders.logs, 'postgres.log'), onProgress })
    const server = await status.step(
      'PostgreSQL',
      async (note) => {
        const server = await start(note, wantedPorts.postgres)
        const again = () => start(() => undefined, server.port)
        watch(system, 'postgres', join(folders.logs, 'postgres.log'), server, again)
        await ensureDatabase(withDatabase(server.url, 'rates'))
        return server
      },
      (server) => describeServer(server, wantedPorts.postgres, folders.postgres),
    )
    state.databaseUrl = withDatabase(server.url, 'rates')
  }
  signal.throwIfAborted()
  const url = state.databaseUrl
  await status.step(
    'migrations',
    (note) => migrate(url, (name) => note(name, true)),
    (names) => names.join(', ') || 'none is new',
  )
}

/** What a person must know who looks for it: a port or folder that is not the usual one, and why. */
function describeServer({ port, dir }: { port: number; dir: string }, wanted: number, folder: string): string {
  const told = [`127.0.0.1:${port}`]
  if (port !== wanted) told.push(`port ${wanted} is taken`)
  told.push(`data in ${short(dir)}`)
  if (dir !== folder) told.push(`as its user cannot enter ${short(folder)}`)
  return told.join(', ')
}

async function broker(system: System) {
  const { status, state, signal } = system
  const given = process.env['KAFKA_BROKERS']
  if (given) state.brokers = given
  else {
    const log = join(folders.logs, 'kafka.log')
    const start = (onProgress: (note: string) => void, port: number) =>
      startKafka({ dir: folders.kafka, port, log, onProgress })
    const server = await status.step(
      'Kafka',
      async (note) => {
        const server = await start(note, wantedPorts.kafka)
        watch(system, 'kafka', log, server, () => start(() => undefined, server.port))
        return server
      },
      (server) => describeServer({ ...server, dir: folders.kafka }, wantedPorts.kafka, folders.kafka),
    )
    state.brokers = server.brokers
  }
  signal.throwIfAborted()
  await status.step(
    'topics',
    () => topics(state),
    ({ created, existing }) => `${created.length} new, ${existing.length} there`,
  )
}

async function topics({ brokers = '', prefix }: State) {
  const admin = await connectAdmin(kafkaSettings(brokers.split(','), 'rates-start'))
  try {
    return await ensureTopics(admin, prefix)
  } finally {
    await admin.close()
  }
}

/** Before the services, which are told where it is; after Kafka, which it tells of its files. */
async function objectStore(system: System) {
  const { status, state, signal, options } = system
  signal.throwIfAborted()
  const start = (port: number, onProgress?: (note: string) => void) =>
    startInbox(state, { port, program: named(options.objectStore), ...(onProgress && { onProgress }) })
  const { facts } = await status.step(
    'object store',
    async (note) => {
      const started = await start(wantedPorts.objectStore, note)
      const { server } = started
      const again = async () => (await start(server.port)).server
      watch(system, 'object-store', join(folders.logs, 'object-store.log'), server, again)
      return started
    },
    ({ server, facts }) =>
      `${describeServer({ port: server.port, dir: folders.objectStore }, wantedPorts.objectStore, folders.objectStore)}, bucket ${facts.bucket}`,
  )
  await save(system, { objectStore: facts })
}

async function services(system: System) {
  const { status, state, signal, options } = system
  signal.throwIfAborted()
  const { databaseUrl = '', brokers = '', prefix } = state
  const common = {
    DATABASE_URL: databaseUrl,
    KAFKA_BROKERS: brokers,
    KAFKA_PREFIX: prefix,
    HOST: '127.0.0.1',
    ...objectStoreEnv(state.objectStore),
  }
  const logs = join(folders.logs, '{worker}.log')
  const specs: ServiceSpec[] = [
    {
      name: 'rates-api',
      service: 'rates-api',
      env: { ...common, HOST: options.host, BATCH_LOG_TEMPLATE: logs },
      ports: { PORT: options.port, MANAGEMENT_PORT: options.port + 1 },
    },
  ]
  for (let number = 1; number <= options.workers; number++) {
    const name = `ingest-${number}`
    const ports = { MANAGEMENT_PORT: options.port + 1 + number }
    // The shortest session that brokers take: after a kill -9 of everything the next start waits for the dead ones' end.
    const env = { ...common, WORKER_NAME: name, SESSION_SECONDS: '6' }
    specs.push({ name, service: 'ingest', env, ports })
  }
  const taken = new Set<number>()
  const start = async (spec: ServiceSpec) => {
    const say = ({ ports }: RunningService) => describePorts(spec, ports)
    const service = await status.step(spec.name, () => startService(spec, taken, signal), say)
    watch(system, spec.name, service.log, service.part, service.again, managementUrl(service))
    return service
  }
  // The API chooses its ports first, so that the workers do not take the one next to a port that is taken.
  const started = specs.map((spec) => start(spec))
  await together(started)
  const api = await started[0]!
  await save(system, { url: `http://127.0.0.1:${api.ports['PORT']}` })
}

function describePorts(spec: ServiceSpec, ports: Record<string, number>): string {
  const told =
    spec.service === 'rates-api' ? `http://127.0.0.1:${ports['PORT']}` : `management port ${ports['MANAGEMENT_PORT']}`
  const moved = Object.entries(spec.ports).filter(([name, wanted]) => ports[name] !== wanted)
  return [told, ...moved.map(([, wanted]) => `port ${wanted} is taken`)].join(', ')
}

/** After the services: it is told which ports they have. */
async function monitoring(system: System) {
  const { status, state, signal, options } = system
  signal.throwIfAborted()
  const start = (port: number) => startMonitoring(state, named(options.monitoring), port)
  const { url } = await status.step(
    'Prometheus',
    async () => {
      const server = await start(wantedPorts.prometheus)
      watch(system, 'prometheus', join(folders.logs, 'prometheus.log'), server, () => start(server.port))
      return server
    },
    ({ port, version }) =>
      `${version}, ${describeServer({ port, dir: folders.prometheus }, wantedPorts.prometheus, folders.prometheus)}`,
  )
  await save(system, { prometheusUrl: url })
}

/** The program that an option names, if it names one. */
const named = (option: string | true | undefined) => (typeof option === 'string' ? option : undefined)

/** Keeps the part running and tells of its deaths. */
function watch(
  system: System,
  name: string,
  log: string,
  part: Part,
  again: () => Promise<Part>,
  managementUrl?: string,
) {
  const { status, state } = system
  const entry: State['processes'][number] = { name, pid: part.pid, log, ...(managementUrl && { managementUrl }) }
  state.processes.push(entry)
  const supervised = new Supervised(part, {
    name,
    start: again,
    onDeath: ({ reason, againInMs }) => {
      status.event(`${name} ${reason}; it is started again in ${againInMs / 1000} s (${short(log)})`)
    },
    onRestart: ({ part: { pid } }) => {
      entry.pid = pid
      status.event(`${name} runs again (process ${pid})`)
      save(system, {}).catch((error: unknown) => status.event(`the state could not be written: ${String(error)}`))
    },
  })
  system.parts.set(name, supervised)
}
