import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isOurs } from '@rates/local/processes'
import { databaseAddress } from '@rates/service/database-address'
import { folders, root } from './home.ts'

/** How to reach a running system. */
export interface Running {
  databaseUrl: string
  /** host:port, comma separated */
  brokers: string
  /** Of rates-api, without a slash at the end. */
  url: string
}

/** How to reach an object store, and the bucket that is watched. */
export interface ObjectStoreFacts {
  url: string
  region: string
  bucket: string
  accessKeyId: string
  /** Files that hold the keys, for what reads them from files. */
  accessKeyIdFile: string
  secretFile: string
}

export interface State extends Partial<Running> {
  supervisor: number
  startedAt: string
  phase: 'starting' | 'running' | 'stopping'
  /** Precedes every topic and group. */
  prefix: string
  /** Of the Prometheus beside it. */
  prometheusUrl?: string
  /** The object store whose files become batches. */
  objectStore?: ObjectStoreFacts
  processes: { name: string; pid: number; log: string; managementUrl?: string }[]
}

/** Nothing runs where a command was looking for it. */
export class NothingRuns extends Error {
  override name = 'NothingRuns'
}

const variables: Record<keyof Running, string> = {
  databaseUrl: 'DATABASE_URL',
  brokers: 'KAFKA_BROKERS',
  url: 'RATES_URL',
}

/**
 * The system that a command works on: the one that `npm start` runs in this clone, or what the environment names, which
 * comes first. `needs` are the parts that the command uses; without any: all.
 */
export async function findRunning<Part extends keyof Running = keyof Running>(
  ...needs: Part[]
): Promise<Pick<Running, Part> & { prefix: string }> {
  return chooseRunning(await readLiveState(), process.env, needs)
}

export function chooseRunning<Part extends keyof Running>(
  state: State | undefined,
  env: NodeJS.ProcessEnv,
  needs: readonly Part[],
): Pick<Running, Part> & { prefix: string } {
  const parts = needs.length > 0 ? needs : (Object.keys(variables) as Part[])
  const missing: string[] = []
  const found: Partial<Running> = {}
  for (const part of parts) {
    const value = (part === 'databaseUrl' ? givenDatabase(env) : env[variables[part]]) || state?.[part]
    if (value === undefined) missing.push(variables[part])
    else found[part] = part === 'url' ? value.replace(/\/+$/, '') : value
  }
  if (missing.length > 0) {
    const reason =
      state === undefined ? 'Nothing runs here: start it (npm start)' : 'What runs here is not ready yet: wait for it'
    throw new NothingRuns(`${reason}, or set ${missing.join(' and ')} to what runs elsewhere.`)
  }
  return { ...(found as Pick<Running, Part>), prefix: env['KAFKA_PREFIX'] ?? state?.prefix ?? '' }
}

/** Undefined where nothing runs: for what a command can do without. */
export async function orNothing<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found
  } catch (error) {
    if (error instanceof NothingRuns) return undefined
    throw error
  }
}

/** What the environment names, with the files of password and certificate in it. */
export function givenDatabase(env: NodeJS.ProcessEnv): string | undefined {
  const { DATABASE_URL: url, DATABASE_PASSWORD_FILE: password, DATABASE_CA_FILE: ca } = env
  return url ? databaseAddress(url, { password: password || undefined, ca: ca || undefined }) : undefined
}

/** What `rates start` has written, if it still runs. */
export async function readLiveState(): Promise<State | undefined> {
  const state = await readState(folders.state)
  return state !== undefined && (await isSupervisor(state.supervisor)) ? state : undefined
}

export function isSupervisor(pid: number): Promise<boolean> {
  return isOurs(pid, [root, 'rates.', ' start'])
}

export async function readState(file: string): Promise<State | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as State
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Readers see the old state or the new one, never a part of it. */
export async function writeState(file: string, state: State): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  const draft = `${file}.${process.pid}.part`
  await writeFile(draft, `${JSON.stringify(state, null, 2)}\n`)
  await rename(draft, file)
}

/**
 * Makes this process the one that runs the clone's system, or returns the id of the one that does already. A killed
 * one's lock counts for nothing.
 */
export async function takeLock(file: string, owns: (pid: number) => Promise<boolean>): Promise<number | undefined> {
  await mkdir(dirname(file), { recursive: true })
  for (;;) {
    try {
      await writeFile(file, `${process.pid}\n`, { flag: 'wx' })
      return undefined
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const pid = Number(await readFile(file, 'utf8').catch(() => ''))
    if (pid !== process.pid && (await owns(pid))) return pid
    await rm(file, { force: true })
  }
}
