import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { Missing } from './java.ts'
import { anyFreePort, nextFreePort } from './ports.ts'
import { endOrphans, type Exit, type LoggedProcess, spawnLogged } from './processes.ts'
import { answersWell, untilReady } from './readiness.ts'

const startDeadlineMs = 30_000
const stopDeadlineMs = 10_000

/** A job of Prometheus: its name, and who is asked for `/metrics`, as host:port. */
export type Jobs = Readonly<Record<string, readonly string[]>>

export interface PrometheusOptions {
  /** Where the series and the configuration are kept. */
  dir: string
  jobs: Jobs
  /** Rule files; the last part of a path may have a `*`. */
  rules?: readonly string[]
  /** Between two scrapes, and between two evaluations of the rules. */
  everySeconds?: number
  /** The program; by default the one that PROMETHEUS_BIN names, else `prometheus` on the PATH. */
  program?: string | undefined
  /** The port wanted; the next free one where it is taken. 0: any. */
  port?: number
  /** Where it writes its log; by default beside the data. */
  log?: string
}

export interface RunningPrometheus {
  url: string
  port: number
  version: string
  pid: number
  exited: Promise<Exit>
  stop(): Promise<void>
}

const programOf = (program: string | undefined): string => program ?? (process.env['PROMETHEUS_BIN'] || 'prometheus')

/** The version of Prometheus that would be started. @throws Missing where there is none */
export async function requirePrometheus(program?: string): Promise<string> {
  const found = programOf(program)
  // Older ones tell their version on stderr.
  const answer = await promisify(execFile)(found, ['--version']).catch(() => undefined)
  const version = /^prometheus, version (\S+)/m.exec(`${answer?.stdout}\n${answer?.stderr}`)?.[1]
  if (version !== undefined) return version
  throw new Missing(
    [
      `There is no Prometheus here: "${found} --version" does not answer as one.`,
      'Install it (Debian, Ubuntu: apt install prometheus; macOS: brew install prometheus), or name the program of a',
      'download from https://prometheus.io/download/: npm start -- --monitoring /path/to/prometheus.',
      'Without --monitoring everything else runs, and the page /bottleneck of the API shows the same verdict.',
    ].join('\n'),
  )
}

/** Starts a Prometheus on the folder, which is made at the first start. */
export async function startPrometheus(options: PrometheusOptions): Promise<RunningPrometheus> {
  const version = await requirePrometheus(options.program)
  const dir = resolve(options.dir)
  const log = options.log ?? `${dir}.log`
  await mkdir(dir, { recursive: true })
  await recover(dir)
  await writeFile(configFile(dir), JSON.stringify(configuration(options), null, 2))
  for (let attempt = 1; ; attempt++) {
    const port = options.port === 0 ? await anyFreePort() : await nextFreePort(options.port ?? 9090)
    const outcome = await tryStart(programOf(options.program), dir, port, log)
    if ('server' in outcome) {
      const { pid, exited, stop } = outcome.server
      return {
        url: `http://127.0.0.1:${port}`,
        port,
        version,
        pid,
        exited,
        stop: async () => void (await stop('SIGTERM', stopDeadlineMs)),
      }
    }
    if (attempt === 3 || !outcome.said.includes('address already in use')) {
      throw new Error(`Prometheus did not start (all of it: ${log}):\n${outcome.said}`)
    }
  }
}

const configFile = (dir: string): string => join(dir, 'prometheus.yml')

/** What prometheus.yml says; it is written as JSON, which is YAML. */
export function configuration({ jobs, rules = [], everySeconds = 5 }: PrometheusOptions): object {
  const every = `${everySeconds}s`
  return {
    // A target that does not answer within its interval counts as down; the timeout must not be longer than it.
    global: { scrape_interval: every, scrape_timeout: every, evaluation_interval: every },
    rule_files: rules,
    scrape_configs: Object.entries(jobs).map(([job_name, targets]) => ({ job_name, static_configs: [{ targets }] })),
  }
}

async function tryStart(
  program: string,
  dir: string,
  port: number,
  log: string,
): Promise<{ server: LoggedProcess } | { said: string }> {
  const args = [
    `--config.file=${configFile(dir)}`,
    `--storage.tsdb.path=${dataOf(dir)}`,
    '--storage.tsdb.retention.time=7d',
    '--storage.tsdb.retention.size=512MB',
    `--web.listen-address=127.0.0.1:${port}`,
    '--log.level=warn',
  ]
  const server = await spawnLogged(program, args, { log, cwd: dir })
  // Not before it has read its data: until then queries fail.
  return untilReady(server, () => answersWell(`http://127.0.0.1:${port}/-/ready`), { startDeadlineMs, stopDeadlineMs })
}

const dataOf = (dir: string): string => join(dir, 'data')

/** Ends the one that a killed run left on the folder. */
async function recover(dir: string): Promise<void> {
  await endOrphans(['prometheus', `--storage.tsdb.path=${dataOf(dir)} `], 'SIGTERM', stopDeadlineMs)
}

/** Forgets the data, which nobody may be using. */
export async function forgetPrometheus(dir: string): Promise<void> {
  await recover(resolve(dir))
  await rm(resolve(dir), { recursive: true, force: true })
}
