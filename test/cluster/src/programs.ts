import { spawn } from 'node:child_process'

export class ProgramFailed extends Error {
  override name = 'ProgramFailed'
}

export interface RunOptions {
  input?: string
  /** Milliseconds after which it is ended. */
  timeout?: number
}

/** Runs a program to its end. @returns what it wrote to stdout @throws ProgramFailed with what it wrote to stderr */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { input, timeout = 300_000 } = options
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout })
    let [out, err] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (piece: string) => (out += piece))
    child.stderr.setEncoding('utf8').on('data', (piece: string) => (err += piece))
    child.once('error', (error) => reject(new ProgramFailed(`${program}: ${error.message}`)))
    child.once('close', (code, signal) => {
      if (code === 0) return resolve(out)
      const told = [`${program} ${args.join(' ')} ended with ${String(signal ?? code)}`, err.trim(), out.trim()]
      reject(new ProgramFailed(told.filter(Boolean).join('\n').slice(0, 8_000)))
    })
    child.stdin.on('error', () => undefined) // it ended before it read all: its code is told
    child.stdin.end(input ?? '')
  })
}

export const kubectl = (args: readonly string[], options: RunOptions = {}): Promise<string> =>
  run('kubectl', args, options)

export const helm = (args: readonly string[], options: RunOptions = {}): Promise<string> => run('helm', args, options)
