import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Outcome } from './outcomes.ts'

export interface Load {
  /** What has become of those requests that are done. */
  outcomes: Outcome[]
  /** Sends no more, and waits for the answers. */
  stop(): Promise<void>
}

/** Starts one of the programs beside this file: apart, so that nothing of the test's own delays what it sends. */
export function startLoadProcess<Accepted = never>(
  program: 'reader' | 'uploader',
  settings: object,
  accepted: (batch: Accepted) => void = () => undefined,
): Load {
  const file = fileURLToPath(new URL(`./${program}.ts`, import.meta.url))
  const child = fork(file, { serialization: 'advanced', execArgv: ['--conditions=source'] })
  const outcomes: Outcome[] = []
  const ended = new Promise<void>((resolve, reject) => {
    child.on('message', (message: Told<Accepted>) => {
      if (message === 'ended') return resolve()
      outcomes.push(...message.outcomes)
      message.accepted.forEach(accepted)
    })
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`the process ${program} ended with ${String(code)}`)))
  })
  ended.catch(() => undefined) // told to who stops it
  child.send(settings)
  return {
    outcomes,
    async stop() {
      if (child.connected) child.send('stop')
      await ended
    },
  }
}

type Told<Accepted> = 'ended' | { outcomes: Outcome[]; accepted: Accepted[] }

/** The other end: what such a program does with its settings until it is told to stop. */
export function runLoad<Settings, Accepted = never>(
  run: (settings: Settings, stop: AbortSignal, tell: (outcome: Outcome, accepted?: Accepted) => void) => Promise<void>,
): void {
  const stop = new AbortController()
  let [outcomes, accepted]: [Outcome[], Accepted[]] = [[], []]
  const flush = (): void => {
    if (outcomes.length > 0) process.send!({ outcomes, accepted })
    ;[outcomes, accepted] = [[], []]
  }
  const tell = (outcome: Outcome, batch?: Accepted): void => {
    outcomes.push(outcome)
    if (batch !== undefined) accepted.push(batch)
  }
  process.on('disconnect', () => process.exit(1))
  process.on('message', (message: Settings | 'stop') => {
    if (message === 'stop') return stop.abort()
    const flushing = setInterval(flush, 500)
    void run(message, stop.signal, tell).then(() => {
      clearInterval(flushing)
      flush()
      process.send!('ended', () => process.exit(0))
    })
  })
}
