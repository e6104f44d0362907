import { rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { nextFreePort } from '@rates/local/ports'
import { type LoggedProcess, spawnLogged } from '@rates/local/processes'
import { folders, root, serviceMark } from './home.ts'
import { describeExit, type Part } from './supervise.ts'

/** A small young generation: without it reads let the API's memory grow to 400 MB of garbage. */
const nodeFlags = ['--max-semi-space-size=4', '--disable-warning=TimeoutNegativeWarning']
const readyWithinMs = 60_000
const drainSeconds = 8
const stopDeadlineMs = (drainSeconds + 2) * 1000
const largestLog = 20e6

export interface ServiceSpec {
  /** Of the process, its log and its worker. */
  name: string
  /** The folder under services/. */
  service: 'rates-api' | 'ingest'
  env: Record<string, string>
  /** The variables that take a port, and the ports wanted. */
  ports: Record<string, number>
}

export interface RunningService {
  spec: ServiceSpec
  ports: Record<string, number>
  log: string
  part: Part
  /** Starts it once more, on the same ports. */
  again: () => Promise<Part>
}

export const managementUrl = (service: RunningService) => `http://127.0.0.1:${service.ports['MANAGEMENT_PORT']}`

/** Starts a service and waits until it is ready. A port that is taken, or taken meanwhile, gives way to the next one. */
export async function startService(
  spec: ServiceSpec,
  taken: Set<number>,
  signal: AbortSignal,
): Promise<RunningService> {
  const log = join(folders.logs, `${spec.name}.log`)
  await keepLogSmall(log)
  for (let attempt = 1; ; attempt++) {
    const ports = await choosePorts(spec.ports, taken)
    const again = () => spawnService(spec, ports, log).then(asPart)
    const child = await spawnService(spec, ports, log)
    const service: RunningService = { spec, ports, log, part: asPart(child), again }
    const fault = await untilReady(service, signal)
    if (fault === undefined) return service
    await child.stop('SIGTERM', stopDeadlineMs)
    const said = await child.said()
    if (attempt === 3 || !said.includes('EADDRINUSE')) {
      throw new Error(`${spec.name} ${fault}; the end of its log ${log}:\n${said.split('\n').slice(-20).join('\n')}`)
    }
  }
}

async function choosePorts(wanted: Record<string, number>, taken: Set<number>) {
  const ports: Record<string, number> = {}
  for (const [name, preferred] of Object.entries(wanted)) {
    const port = await nextFreePort(preferred, taken)
    taken.add(port)
    ports[name] = port
  }
  return ports
}

function spawnService(spec: ServiceSpec, ports: Record<string, number>, log: string): Promise<LoggedProcess> {
  const env = { ...process.env }
  delete env['NODE_OPTIONS']
  const main = join(root, 'services', spec.service, 'dist', 'main.js')
  return spawnLogged(process.execPath, [...nodeFlags, main, serviceMark], {
    log,
    cwd: root,
    env: {
      ...env,
      ...spec.env,
      DRAIN_SECONDS: String(drainSeconds),
      ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])),
    },
  })
}

function asPart(child: LoggedProcess): Part {
  return { pid: child.pid, exited: child.exited, stop: () => child.stop('SIGTERM', stopDeadlineMs) }
}

/** Returns what went wrong in words, or undefined once /readyz answers well. */
async function untilReady(service: RunningService, signal: AbortSignal): Promise<string | undefined> {
  let fault: string | undefined
  void service.part.exited.then((exit) => (fault = describeExit(exit)))
  const deadline = Date.now() + readyWithinMs
  while (fault === undefined) {
    if (signal.aborted) return 'was told to stop'
    if (Date.now() > deadline) return `was not ready within ${readyWithinMs / 1000} s`
    if (await isReady(service)) return undefined
    await sleep(100)
  }
  return fault
}

export async function isReady(service: RunningService): Promise<boolean> {
  const url = `${managementUrl(service)}/readyz`
  return fetch(url, { signal: AbortSignal.timeout(2000) }).then(
    async (answer) => {
      await answer.body?.cancel()
      return answer.ok
    },
    () => false,
  )
}

/** The log of earlier runs is kept, and that of much earlier runs beside it. */
async function keepLogSmall(log: string) {
  const size = await stat(log).then(
    (found) => found.size,
    () => 0,
  )
  if (size > largestLog) await rename(log, `${log}.1`)
}
