import { execFile, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { promisify } from 'node:util'

const oldestJava = 17

/** Something this machine lacks; `instead` says what to do about it. */
export class Missing extends Error {
  override name = 'Missing'
}

/** The Java to run: that of JAVA_HOME, else the one on the PATH; undefined where there is none of version 17 or newer. */
export async function findJava(): Promise<string | undefined> {
  const home = process.env['JAVA_HOME']
  for (const java of home ? [join(home, 'bin', 'java'), 'java'] : ['java']) {
    const version = await javaVersion(java)
    if (version !== undefined && version >= oldestJava) return java
  }
  return undefined
}

async function javaVersion(java: string): Promise<number | undefined> {
  // It tells its version on stderr: openjdk version "17.0.15" 2025-04-15; before Java 9 it was "1.8.0_402".
  const answer = await promisify(execFile)(java, ['-version']).catch(() => undefined)
  return answer === undefined ? undefined : parseJavaVersion(answer.stderr + answer.stdout)
}

export function parseJavaVersion(text: string): number | undefined {
  const found = /version "(?:1\.)?(\d+)/.exec(text)
  return found ? Number(found[1]) : undefined
}

export async function hasMaven(): Promise<boolean> {
  return promisify(execFile)('mvn', ['-v']).then(
    () => true,
    () => false,
  )
}

/** Runs Maven; `onLine` sees what it prints. Its last lines are in the error where it fails. */
export async function runMaven(
  args: string[],
  onLine: (line: string) => void = () => undefined,
  cwd?: string,
): Promise<void> {
  const child = spawn('mvn', ['-B', ...args], { stdio: ['ignore', 'pipe', 'pipe'], ...(cwd !== undefined && { cwd }) })
  const kill = () => child.kill()
  process.once('exit', kill)
  const last: string[] = []
  const read = (stream: NodeJS.ReadableStream) =>
    createInterface({ input: stream }).on('line', (line) => {
      onLine(line)
      last.push(line)
      if (last.length > 200) last.shift()
    })
  read(child.stdout)
  read(child.stderr)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'ENOENT' ? new Missing('Maven (mvn) is not installed') : error)
    })
    child.once('close', resolve)
  }).finally(() => process.off('exit', kill))
  if (code === 0) return
  const errors = last.filter((line) => line.includes('ERROR')).slice(0, 5)
  throw new Error(`Maven failed (exit code ${code}):\n${(errors.length > 0 ? errors : last.slice(-5)).join('\n')}`)
}
