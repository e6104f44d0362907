import { execFile } from 'node:child_process'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { exists } from './cache.ts'
import { anyFreePort, nextFreePort } from './ports.ts'
import { embeddedBinaries } from './postgres-binaries.ts'
import {
  makeFolderFor,
  reachableBinaries,
  reachableFolder,
  serverUser,
  type User,
  writeFileFor,
} from './postgres-user.ts'
import { endOrphan, type Exit, isOurs, type LoggedProcess, spawnLogged } from './processes.ts'
import { untilReady } from './readiness.ts'

const run = promisify(execFile)
const startDeadlineMs = 120_000 // recovery after a crash may have gigabytes of WAL to replay
const stopDeadlineMs = 20_000

const settings: Record<string, string> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  shared_buffers: '256MB',
  max_wal_size: '4GB',
  synchronous_commit: 'on',
  random_page_cost: '1.1',
  timezone: 'UTC',
  log_timezone: 'UTC',
  lc_messages: 'C',
}

export interface PostgresOptions {
  /** Where the data are kept. As root it may be elsewhere: see `dir` of the answer. */
  dir: string
  /** The port wanted; the next free one where it is taken. 0: any. */
  port?: number
  onProgress?: (note: string) => void
  /** More settings, as with `postgres -c`. */
  extra?: Record<string, string>
  /** A folder with bin, lib and share of another version: `fetchPostgres`. */
  binaries?: string
  /** Where the server writes its log; by default beside the data. */
  log?: string
}

export interface RunningPostgres {
  /** Of the maintenance database `postgres`, as superuser. */
  url: string
  port: number
  /** Where the data really are. */
  dir: string
  pid: number
  exited: Promise<Exit>
  stop(): Promise<void>
}

/** Where PostgreSQL started with this folder keeps its data: in it, or as root perhaps under /var/tmp. */
export async function postgresFolder(dir: string): Promise<string> {
  return reachableFolder(resolve(dir), await serverUser())
}

/**
 * Starts a PostgreSQL on the folder, which is made at the first start. What a killed run left there (a server that goes
 * on alone, a pid file of nobody) is put right first.
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const { onProgress = () => undefined } = options
  const user = await serverUser()
  const wanted = resolve(options.dir)
  await mkdir(dirname(wanted), { recursive: true })
  const dir = await reachableFolder(wanted, user)
  if (dir !== wanted) onProgress(`${user?.name} cannot enter ${wanted}: the data are in ${dir}`)
  const binaries = await reachableBinaries(options.binaries ?? (await embeddedBinaries()), user)
  if ((await recover(dir)) === 'ended') onProgress('ended the server that a killed run had left')
  if (!(await exists(join(dir, 'PG_VERSION')))) {
    onProgress('creating the database folder')
    await initialise(dir, binaries, user)
  }
  await checkVersion(dir, binaries)
  const log = options.log ?? `${wanted}.log`
  for (let attempt = 1; ; attempt++) {
    const port = options.port === 0 ? await anyFreePort() : await nextFreePort(options.port ?? 5432)
    if (options.port && port !== options.port)
      onProgress(`port ${options.port} is taken: PostgreSQL listens on ${port}`)
    const outcome = await tryStart(dir, port, binaries, user, log, options.extra ?? {})
    if ('server' in outcome) return describe(outcome.server, dir, port)
    // Somebody else took the port meanwhile, or a server killed a moment ago still holds its shared memory.
    if (attempt === 3) throw new Error(`PostgreSQL did not start:\n${outcome.said}`)
    await sleep(attempt * 1000)
  }
}

function describe(server: LoggedProcess, dir: string, port: number): RunningPostgres {
  return {
    url: `postgres://rates:rates@127.0.0.1:${port}/postgres`,
    port,
    dir,
    pid: server.pid,
    exited: server.exited,
    // SIGINT is its "fast" shutdown: clients are disconnected, the data are complete on disk.
    stop: async () => void (await server.stop('SIGINT', stopDeadlineMs)),
  }
}

async function initialise(dir: string, binaries: string, user: User | undefined) {
  await rm(dir, { recursive: true, force: true }) // an initdb that was killed leaves a folder without PG_VERSION
  await makeFolderFor(dir, user)
  const password = `${dir}.password`
  await writeFileFor(password, 'rates\n', user)
  try {
    const flags = ['--username=rates', '--auth=scram-sha-256', `--pwfile=${password}`, '--encoding=UTF8', '--locale=C']
    await run(join(binaries, 'bin', 'initdb'), [`--pgdata=${dir}`, ...flags, '--no-sync'], {
      cwd: dir,
      env: { PATH: process.env['PATH'], LC_ALL: 'C' },
      ...(user && { uid: user.uid, gid: user.gid }),
    })
  } catch (error) {
    await rm(dir, { recursive: true, force: true })
    throw new Error(`initdb failed: ${(error as { stderr?: string }).stderr ?? ''}`, { cause: error })
  } finally {
    await rm(password, { force: true })
  }
}

/** A folder of another major version is refused with what to do, not with the server's own riddle. */
async function checkVersion(dir: string, binaries: string) {
  const of = (await readFile(join(dir, 'PG_VERSION'), 'utf8')).trim()
  const { stdout } = await run(join(binaries, 'bin', 'postgres'), ['--version'])
  const program = /(\d+)/.exec(stdout)?.[1]
  if (of === program) return
  throw new Error(
    `${dir} is of PostgreSQL ${of}, this is ${program}: forget the data (npm run reset), or dump it first`,
  )
}

async function tryStart(
  dir: string,
  port: number,
  binaries: string,
  user: User | undefined,
  log: string,
  extra: Record<string, string>,
): Promise<{ server: LoggedProcess } | { said: string }> {
  const flags = Object.entries({ ...settings, ...extra }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const server = await spawnLogged(join(binaries, 'bin', 'postgres'), ['-D', dir, '-p', String(port), ...flags], {
    log,
    cwd: dir,
    env: { PATH: process.env['PATH'], TZ: 'UTC', LC_ALL: 'C' },
    ...(user && { user: { uid: user.uid, gid: user.gid } }),
  })
  const limits = { startDeadlineMs, stopDeadlineMs, signal: 'SIGINT' } as const
  return untilReady(server, () => isReady(dir, server.pid), limits)
}

/** The eighth line of its pid file is how the server itself tells that it takes connections. */
async function isReady(dir: string, pid: number): Promise<boolean> {
  const lines = (await readFile(join(dir, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')
  return Number(lines[0]) === pid && lines[7]?.trim() === 'ready'
}

/** Ends the server that a killed run left on a data folder, and removes a pid file that names no server of it. */
async function recover(dir: string): Promise<'clean' | 'stale' | 'ended'> {
  const file = join(dir, 'postmaster.pid')
  const text = await readFile(file, 'utf8').catch(() => '')
  if (text === '') return 'clean'
  const pid = Number(text.split('\n')[0])
  const marks = [`-D ${dir} `]
  if (pid > 0 && (await isOurs(pid, marks))) {
    await endOrphan(pid, marks, 'SIGINT', stopDeadlineMs)
    await rm(file, { force: true }) // only there still if it had to be killed
    return 'ended'
  }
  await rm(file, { force: true })
  return 'stale'
}

/** Forgets the data, which nobody may be using. */
export async function forgetPostgres(dir: string): Promise<void> {
  const wanted = resolve(dir)
  const used = await postgresFolder(dir)
  await recover(used)
  for (const path of new Set([wanted, used])) await rm(path, { recursive: true, force: true })
  if (used !== wanted) await rm(dirname(used), { recursive: true, force: true }) // it was made for these data alone
}
