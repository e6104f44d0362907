import { setTimeout as sleep } from 'node:timers/promises'

export interface SteadyReads {
  /** How many were answered, and with what, since the last time. */
  told(): string
  /** Ends them. */
  stop(): Promise<string>
}

/** Asks the same four times a second, one request after the other. */
export function steadyReads(url: string): SteadyReads {
  let answers = new Map<string, number>()
  let ended = false
  const work = async (): Promise<void> => {
    while (!ended) {
      const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) }).then(
        async (response) => {
          await response.arrayBuffer()
          return String(response.status)
        },
        (error: Error) => error.name,
      )
      answers.set(answer, (answers.get(answer) ?? 0) + 1)
      await sleep(250)
    }
  }
  const done = work()
  const told = (): string => {
    const before = answers
    answers = new Map()
    return [...before].map(([answer, count]) => `${count} × ${answer}`).join(', ')
  }
  return {
    told,
    async stop() {
      ended = true
      await done
      return told()
    },
  }
}
