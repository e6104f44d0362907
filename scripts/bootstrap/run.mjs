import { spawn } from 'node:child_process'

/** An error whose message is all that the person needs to see. */
export class Told extends Error {}

/** Runs a program and keeps quiet about what it prints, unless it fails. */
export function runQuietly(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    const said = []
    child.stdout.on('data', (chunk) => said.push(chunk))
    child.stderr.on('data', (chunk) => said.push(chunk))
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) return resolve()
      const output = Buffer.concat(said).toString()
      reject(new Told(`${output}\n${program} ${args.join(' ')} failed (${signal ?? `exit code ${code}`})`))
    })
  })
}

/**
 * Runs a program in our place: it has our terminal, gets our signals, and its end is told as ours would be.
 * A terminal's Ctrl-C reaches it twice, from the terminal and through us: it takes two within an instant for one.
 */
export function runInstead(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: 'inherit' })
    const forward = (signal) => child.kill(signal)
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, forward)
    const watch = setInterval(() => {
      if (!isOrphan()) return
      clearInterval(watch)
      child.kill('SIGTERM')
    }, 1000)
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      clearInterval(watch)
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(name, forward)
      resolve(code ?? 128 + signalNumber(signal))
    })
  })
}

/** npm passes SIGTERM on to a shell that dies of it and tells us nothing: our parent is another one then. */
const parent = process.ppid
const isOrphan = () => process.env.npm_lifecycle_event !== undefined && process.ppid !== parent

const signalNumber = (signal) => ({ SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 })[signal] ?? 1
