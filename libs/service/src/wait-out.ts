import { setTimeout as sleep } from 'node:timers/promises'
import { Stopped } from './kafka-consumer.ts'
import { type Logger } from './log.ts'
import { CommitUnknown, isTransient } from './postgres.ts'

const FIRST_MILLISECONDS = 100
const LONGEST_MILLISECONDS = 5_000
/** From this attempt on, after some 25 s, somebody has to see it: it may be a fault that does not pass. */
const LOUD_ATTEMPT = 10

export interface Patience {
  /** Ends a pause. */
  signal: AbortSignal
  log: Logger
  /** Which faults are waited out: passesByItself unless told. */
  passes?: (error: unknown) => boolean
  /** Told of each fault and of the pause that it costs; gives the pause back. */
  pausing?: (error: unknown, pause: Promise<void>) => Promise<void>
}

/**
 * PostgreSQL or Kafka is away, or the answer to a COMMIT was lost: the work is done again then, so it has to find by
 * itself, in the ledger, what it did before.
 */
export const passesByItself = (error: unknown): boolean => error instanceof CommitUnknown || isTransient(error)

/**
 * Does the work until it succeeds, as long as its faults pass; any other fault is thrown. The pauses grow, and are half
 * fixed, half random: processes that lost the same server do not come back in step.
 * @throws Stopped when the signal aborts a pause
 */
export async function waitOut<T>(what: string, work: () => Promise<T>, patience: Patience): Promise<T> {
  const { signal, log, passes = passesByItself, pausing } = patience
  for (let attempt = 0; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (error instanceof Stopped || !passes(error)) throw error
      const longest = Math.min(FIRST_MILLISECONDS * 2 ** attempt, LONGEST_MILLISECONDS)
      const milliseconds = longest / 2 + Math.random() * (longest / 2)
      const level = attempt + 1 < LOUD_ATTEMPT ? 'warn' : 'error'
      log[level]({ err: error, attempt: attempt + 1, pause: Math.round(milliseconds) }, `${what}: trying again`)
      const pause = sleep(milliseconds, undefined, { signal })
      await (pausing?.(error, pause) ?? pause).catch(() => {
        throw new Stopped()
      })
    }
    if (signal.aborted) throw new Stopped()
  }
}
