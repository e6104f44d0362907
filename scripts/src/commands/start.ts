import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { objectStoreMark } from '@rates/local/object-store'
import { endOrphans } from '@rates/local/processes'
import { Command, InvalidArgumentError } from 'commander'
import { bringUp, save, type StartOptions, type System } from '../bring-up.ts'
import { folders, home, serviceMark, short } from '../home.ts'
import { isSupervisor, readState, takeLock } from '../running.ts'
import { onStopRequest } from '../signals.ts'
import { Status } from '../status.ts'
import { summarize } from '../summary.ts'

/** A step of the start that goes on longer after a request to stop is not waited for. */
const settleMs = 10_000

export function startCommand(): Command {
  return new Command('start')
    .description('start everything: PostgreSQL, Kafka, the API, two ingest workers')
    .option('--port <port>', 'of the API; the next free one where it is taken', parsePort, 8080)
    .option('--host <address>', 'on which the API listens', '127.0.0.1')
    .option('--workers <number>', 'ingest workers', parseCount, 2)
    .option('--no-demo', 'do not import the demo data')
    .option('--monitoring [program]', 'start a Prometheus beside it: the one on the PATH, or this program')
    .option(
      '--object-store [program]',
      'start an S3 store beside it, whose files become batches: versitygw, or this one',
    )
    .addHelpText(
      'after',
      `
Environment:
  DATABASE_URL   use this PostgreSQL instead of starting one
  KAFKA_BROKERS  use this Kafka (host:port, comma separated) instead of starting one
  KAFKA_PREFIX   precedes every topic and consumer group
  PROMETHEUS_BIN the program that --monitoring starts
  VERSITYGW_BIN  the program that --object-store starts; else that on the PATH, or Go builds it, once`,
    )
    .action(start)
}

async function start(options: StartOptions) {
  // A terminal that was closed, or a reader like `head` that has gone, must not keep us from stopping in order.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
  const owner = await takeLock(folders.lock, isSupervisor)
  if (owner !== undefined) return tellOwner(owner)
  const stop = new AbortController()
  const system: System = {
    options,
    status: new Status(),
    parts: new Map(),
    signal: stop.signal,
    state: {
      supervisor: process.pid,
      startedAt: new Date().toISOString(),
      phase: 'starting',
      prefix: process.env['KAFKA_PREFIX'] ?? '',
      processes: [],
    },
  }
  const { status } = system
  const stopRequested = new Promise<string>((resolve) => onStopRequest(resolve, () => void killAtOnce(system)))
  const up = run(system)
  const failed = up.then(
    () => new Promise<never>(() => undefined),
    (error: unknown) => error,
  )
  const reason = await Promise.race([stopRequested, failed])
  stop.abort(new Error('stopped'))
  if (typeof reason === 'string') status.line(`\nStopping (${reason}). Once more: at once.`)
  else tellFailure(status, reason)
  await save(system, { phase: 'stopping' })
  const settled = up.then(
    () => true,
    () => true,
  )
  if (!(await Promise.race([settled, sleep(settleMs, false)]))) await killAtOnce(system)
  await stopAll(system)
  process.exit(typeof reason === 'string' ? 0 : 1)
}

async function tellOwner(owner: number) {
  const state = await readState(folders.state)
  const where = state?.supervisor === owner && state.url ? `: ${state.url}` : `, process ${owner}`
  console.log(`It runs already${where}. Logs: ${short(folders.logs)}. To stop it: Ctrl-C there, or kill ${owner}.`)
}

async function run(system: System) {
  await save(system, {})
  const orphans = await endOrphans([serviceMark])
  if (orphans > 0) system.status.line(`  ended ${orphans} processes that a killed run had left`)
  await bringUp(system)
  system.status.line(`\n${await summarize(system.state)}`)
}

function tellFailure(status: Status, error: unknown) {
  const foreseen = error instanceof Error && error.name !== 'TypeError'
  status.line(`\nIt did not start: ${foreseen ? error.message : ''}`)
  if (!foreseen || process.env['LOG_LEVEL'] === 'debug') console.error(error)
}

/** Those who use the others first, then these. */
async function stopAll({ parts, status }: System) {
  const since = Date.now()
  const servers = ['object-store', 'kafka', 'postgres']
  const services = [...parts.keys()].filter((name) => !servers.includes(name))
  for (const names of [services, ...servers.map((name) => [name])]) {
    const outcomes = await Promise.allSettled(names.map(async (name) => parts.get(name)?.stop()))
    for (const outcome of outcomes) if (outcome.status === 'rejected') status.line(String(outcome.reason))
  }
  await rm(folders.state, { force: true })
  await rm(folders.lock, { force: true })
  status.line(`Stopped in ${((Date.now() - since) / 1000).toFixed(1)} s.`)
}

/** Everything that names this clone's folder: services, broker, database. The next start recovers. */
async function killAtOnce(system: System) {
  system.status.line('Killing everything.')
  const marks = [
    [serviceMark],
    [home, 'server.properties'],
    [' -D ', `${folders.postgres} `],
    [`--storage.tsdb.path=${folders.prometheus}`],
    [objectStoreMark(folders.objectStore)],
  ]
  await Promise.all(marks.map((mark) => endOrphans(mark, 'SIGKILL', 0)))
  for (const { pid } of system.state.processes) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // it has ended
    }
  }
  process.exit(130)
}

function parsePort(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65_000) throw new InvalidArgumentError('It is no port.')
  return port
}

function parseCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 0 || count > 32)
    throw new InvalidArgumentError('It is no number from 0 to 32.')
  return count
}
