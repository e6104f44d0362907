import { setTimeout as sleep } from 'node:timers/promises'
import { type LoggedProcess } from './processes.ts'

const everyMs = 20

interface Limits {
  startDeadlineMs: number
  stopDeadlineMs: number
  /** Stops it; SIGTERM by default. */
  signal?: NodeJS.Signals
}

/**
 * Waits until a server that was just started is ready. One that ends before, or is not ready in time, is stopped: `said`
 * is what it wrote.
 */
export async function untilReady(
  server: LoggedProcess,
  isReady: () => Promise<boolean>,
  { startDeadlineMs, stopDeadlineMs, signal = 'SIGTERM' }: Limits,
): Promise<{ server: LoggedProcess } | { said: string }> {
  let ended = false
  void server.exited.then(() => (ended = true))
  const deadline = Date.now() + startDeadlineMs
  while (!ended && Date.now() < deadline) {
    if (await isReady()) return { server }
    await sleep(everyMs)
  }
  const said = await server.said()
  await server.stop(signal, stopDeadlineMs)
  return { said }
}

/** Whether a GET of the address is answered well. */
export async function answersWell(url: string): Promise<boolean> {
  return fetch(url, { signal: AbortSignal.timeout(2000) }).then(
    async (answer) => {
      await answer.body?.cancel()
      return answer.ok
    },
    () => false,
  )
}
