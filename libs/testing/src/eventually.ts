import { setTimeout as sleep } from 'node:timers/promises'

export interface EventuallyOptions {
  /** Milliseconds until it gives up: 30 s unless told, for a busy machine is slow, and who succeeds does not wait. */
  within?: number
  /** Milliseconds between two tries. */
  every?: number
  /** What is waited for, for the message. */
  what?: string
}

/**
 * Asks until the answer is neither undefined nor false, and returns it. An error counts as "not yet"; the last one is
 * the cause of the error at the deadline.
 */
export async function eventually<T>(
  probe: () => Promise<T | undefined | false>,
  options: EventuallyOptions = {},
): Promise<T> {
  const { within = 30_000, every = 50, what = 'what was waited for' } = options
  const deadline = Date.now() + within
  let cause: unknown
  for (;;) {
    try {
      const answer = await probe()
      if (answer !== undefined && answer !== false) return answer
      cause = undefined
    } catch (error) {
      cause = error
    }
    if (Date.now() + every > deadline) throw new Error(`${what} did not happen within ${within} ms`, { cause })
    await sleep(every)
  }
}
