import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdirSync, openSync, closeSync } from 'node:fs'
import { open, readdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

/** A process of ours that writes into a log file. It survives us: what to do about that is in `endOrphan`. */
export interface LoggedProcess {
  pid: number
  exited: Promise<Exit>
  /** Ends it: `signal` first, SIGKILL where that has not helped within the deadline. */
  stop(signal: NodeJS.Signals, deadlineMs: number): Promise<Exit>
  /** What it has written into its log since it was started (its last 8 kB). */
  said(): Promise<string>
}

export interface SpawnOptions {
  log: string
  env?: NodeJS.ProcessEnv
  cwd?: string
  user?: { uid: number; gid: number }
}

/**
 * Starts a program with its output going straight into a file, so that it never meets a closed pipe. It leads a process
 * group of its own: a terminal's Ctrl-C reaches only the one who started it, who then stops everything in order.
 */
export async function spawnLogged(program: string, args: string[], options: SpawnOptions): Promise<LoggedProcess> {
  mkdirSync(dirname(options.log), { recursive: true })
  const fd = openSync(options.log, 'a')
  try {
    const before = (await fileSize(options.log)) ?? 0
    const child = spawn(program, args, {
      stdio: ['ignore', fd, fd],
      detached: true,
      env: options.env ?? process.env,
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      ...options.user,
    })
    const exited = exitOf(child)
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject))
    const pid = child.pid
    if (pid === undefined) throw new Error(`${program} has no process id`)
    return {
      pid,
      exited,
      stop: (signal, deadlineMs) => stopChild(child, exited, signal, deadlineMs),
      said: () => tail(options.log, before),
    }
  } finally {
    closeSync(fd)
  }
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })))
}

async function stopChild(child: ChildProcess, exited: Promise<Exit>, signal: NodeJS.Signals, deadlineMs: number) {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs)
    void exited.then(() => clearTimeout(timer))
  }
  return exited
}

/** Whether any process has this id. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Whether the process exists and its command line has all of `marks`: a bare pid may belong to somebody else by now. */
export async function isOurs(pid: number, marks: readonly string[]): Promise<boolean> {
  const line = await commandLine(pid)
  return line !== undefined && marks.every((mark) => line.includes(mark))
}

/** The processes whose command lines have all of `marks`, which must be told so that they fit no other clone's. */
export async function findOurs(marks: readonly string[]): Promise<number[]> {
  const found: number[] = []
  for (const pid of await allProcesses()) {
    if (pid !== process.pid && (await isOurs(pid, marks))) found.push(pid)
  }
  return found
}

async function allProcesses(): Promise<number[]> {
  if (process.platform === 'linux') return (await readdir('/proc')).map(Number).filter((pid) => pid > 0)
  const { stdout } = await promisify(execFile)('ps', ['-ax', '-o', 'pid='])
  return stdout
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 0)
}

async function commandLine(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    return text === '' ? undefined : text.replaceAll('\0', ' ') // empty too: a zombie, which holds nothing any more
  }
  const answer = await promisify(execFile)('ps', ['-ww', '-o', 'command=', '-p', String(pid)]).catch(() => undefined)
  return answer?.stdout
}

/** Ends what a killed run left behind: `signal`, then SIGKILL at the deadline. Returns how many there were. */
export async function endOrphans(
  marks: readonly string[],
  signal: NodeJS.Signals = 'SIGTERM',
  deadlineMs = 10_000,
): Promise<number> {
  const orphans = await findOurs(marks)
  await Promise.all(orphans.map((pid) => endOrphan(pid, marks, signal, deadlineMs)))
  return orphans.length
}

/** The same for one whose id is known. */
export async function endOrphan(pid: number, marks: readonly string[], signal: NodeJS.Signals, deadlineMs: number) {
  sendSignal(pid, signal)
  const deadline = Date.now() + deadlineMs
  while (await isOurs(pid, marks)) {
    if (Date.now() > deadline) sendSignal(pid, 'SIGKILL')
    await sleep(50)
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals) {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error // gone just now: as wanted
  }
}

async function fileSize(path: string): Promise<number | undefined> {
  const file = await open(path).catch(() => undefined)
  if (file === undefined) return undefined
  try {
    return (await file.stat()).size
  } finally {
    await file.close()
  }
}

async function tail(path: string, from: number): Promise<string> {
  const file = await open(path).catch(() => undefined)
  if (file === undefined) return ''
  try {
    const { size } = await file.stat()
    const start = Math.max(from, size - 8192)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.max(0, size - start)), { position: start })
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}
