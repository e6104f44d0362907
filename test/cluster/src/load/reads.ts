import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Outcome } from './outcomes.ts'
import { type Reading } from './reader.ts'

const program = fileURLToPath(new URL('./reader.ts', import.meta.url))

export interface Load {
  /** What has become of those requests that are done. */
  outcomes: Outcome[]
  /** Sends no more, and waits for the answers. */
  stop(): Promise<void>
}

export function startReads(reading: Reading): Load {
  const child = fork(program, { serialization: 'advanced', execArgv: ['--conditions=source'] })
  const outcomes: Outcome[] = []
  const ended = new Promise<void>((resolve, reject) => {
    child.on('message', (message: Outcome[] | 'ended') => {
      if (message === 'ended') resolve()
      else outcomes.push(...message)
    })
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`the process that reads ended with ${String(code)}`)))
  })
  ended.catch(() => undefined) // told to who stops it
  child.send(reading)
  return {
    outcomes,
    async stop() {
      if (child.connected) child.send('stop')
      await ended
    },
  }
}
