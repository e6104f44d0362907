import { setTimeout as sleep } from 'node:timers/promises'
import { ApiFailure } from './api.ts'
import { duration } from './progress.ts'

const FIRST_MILLISECONDS = 250
const LONGEST_MILLISECONDS = 10_000

/** What passes: the request may not have reached the API, or the API asks for it again. */
const PASSING = [408, 425, 429, 502, 503, 504]

export interface Patience {
  /** From the first failure on. */
  seconds: number
  /** Told why it waits, and by undefined that it goes on. */
  onTrouble: (reason: string | undefined) => void
  signal: AbortSignal
}

export const passes = (error: unknown): error is ApiFailure =>
  error instanceof ApiFailure && (error.status === undefined ? isConnection(error) : PASSING.includes(error.status))

/** No answer came, or a part of one; what is no API at all does not become one. */
const isConnection = ({ cause }: ApiFailure): boolean => cause instanceof Error && !(cause instanceof SyntaxError)

/**
 * How long to wait after so many failures: longer each time, and not as long as others who failed at the same moment;
 * never shorter than the API asks for.
 */
export function pause(failures: number, retryAfterSeconds = 0, random = Math.random()): number {
  const longest = Math.min(FIRST_MILLISECONDS * 2 ** Math.min(failures - 1, 30), LONGEST_MILLISECONDS)
  const asked = retryAfterSeconds * 1000
  return Math.max(longest * (0.5 + random / 2), asked * (1 + random / 4))
}

/** Asks again for as long as it fails in a way that passes. @throws the last failure, the signal's reason */
export async function patiently<T>(work: () => Promise<T>, { seconds, onTrouble, signal }: Patience): Promise<T> {
  let since: number | undefined
  for (let failures = 1; ; failures++) {
    try {
      const answer = await work()
      if (since !== undefined) onTrouble(undefined)
      return answer
    } catch (error) {
      signal.throwIfAborted()
      if (!passes(error)) throw error
      since ??= performance.now()
      const left = seconds * 1000 - (performance.now() - since)
      if (left <= 0) throw givenUp(error, seconds)
      onTrouble(error.status === undefined ? 'the API does not answer' : `the API answers ${error.status}`)
      await sleep(Math.min(pause(failures, error.retryAfterSeconds), left), undefined, { signal }).catch(
        () => undefined,
      )
      signal.throwIfAborted()
    }
  }
}

const givenUp = ({ message, code, cause }: ApiFailure, seconds: number): ApiFailure =>
  new ApiFailure(code, `${message} It was tried for ${duration(seconds)}.`, cause)
