/** The process that reads from the API at a steady rate: apart, so that nothing of the test's own delays it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ask, keepAlive } from './http-client.ts'
import { outcomeOf, type Outcome } from './outcomes.ts'

export interface Reading {
  url: string
  rate: number
  connections: number
  /** Asked for in turn. */
  paths: readonly string[]
}

async function read({ url, rate, connections, paths }: Reading, stop: AbortSignal): Promise<void> {
  const agent = keepAlive(connections)
  const started = Date.now()
  const open = new Set<Promise<unknown>>()
  let done: Outcome[] = []
  const tell = (): void => {
    if (done.length > 0) process.send!(done)
    done = []
  }
  const telling = setInterval(tell, 500)
  for (let next = 0; !stop.aborted; next++) {
    const due = started + (next * 1000) / rate
    await sleep(due - Date.now())
    const one = outcomeOf(due, async () => void (await ask(url, agent, { path: paths[next % paths.length]! })))
      .then((outcome) => done.push(outcome))
      .finally(() => open.delete(one))
    open.add(one)
  }
  await Promise.all(open)
  clearInterval(telling)
  tell()
  agent.destroy()
}

const stop = new AbortController()
process.on('disconnect', () => process.exit(1))
process.on('message', (message: Reading | 'stop') => {
  if (message === 'stop') return stop.abort()
  void read(message, stop.signal).then(() => process.send!('ended', () => process.exit(0)))
})
