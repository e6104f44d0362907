import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Line } from './line.ts'

const program = fileURLToPath(new URL('../../../scripts/src/rates.ts', import.meta.url))

export interface Ran {
  code: number | null
  out: string
  err: string
}

export interface Running {
  child: ChildProcess
  /** What it has written so far. */
  said: { out: string; err: string }
  ended: Promise<Ran>
}

/** Starts the program `rates` as a person would, without a terminal. Without `input` it has no standard input. */
export function startRates(env: Record<string, string>, args: readonly string[], input?: 'input'): Running {
  const flags = ['--conditions=source', '--disable-warning=TimeoutNegativeWarning', program]
  const child = spawn(process.execPath, [...flags, ...args], {
    // Of the test's own environment only what every process needs: the rest would be settings.
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  })
  const said = { out: '', err: '' }
  child.stdout!.on('data', (data) => (said.out += String(data)))
  child.stderr!.on('data', (data) => (said.err += String(data)))
  child.stdin?.on('error', () => undefined) // it may end before it has read all
  return { child, said, ended: new Promise((resolve) => child.once('close', (code) => resolve({ code, ...said }))) }
}

/** Runs it to its end. */
export const runRates = (env: Record<string, string>, ...args: string[]): Promise<Ran> => startRates(env, args).ended

/** Where the line is, as the program reads it. */
export const programSettings = (line: Pick<Line, 'databaseUrl' | 'brokers' | 'prefix'>): Record<string, string> => ({
  DATABASE_URL: line.databaseUrl,
  KAFKA_BROKERS: line.brokers.join(','),
  KAFKA_PREFIX: line.prefix,
})
