/** The process that reads from the API at a steady rate. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ask, keepAlive } from './http-client.ts'
import { runLoad } from './load-process.ts'
import { outcomeOf } from './outcomes.ts'

export interface Reading {
  url: string
  /** A second. */
  rate: number
  connections: number
  /** Asked for in turn. */
  paths: readonly string[]
}

runLoad<Reading>(async ({ url, rate, connections, paths }, stop, tell) => {
  const agent = keepAlive(connections)
  const started = Date.now()
  const open = new Set<Promise<unknown>>()
  for (let next = 0; !stop.aborted; next++) {
    const due = started + (next * 1000) / rate
    await sleep(due - Date.now())
    const path = paths[next % paths.length]!
    const one = outcomeOf(due, async () => void (await ask(url, agent, { path })))
      .then((outcome) => tell(outcome))
      .finally(() => open.delete(one))
    open.add(one)
  }
  await Promise.all(open)
  agent.destroy()
})
