import { Stopped } from '@rates/service/kafka-consumer'
import { type Logger } from '@rates/service/log'
import { CommitUnknown, isTransient } from '@rates/service/postgres'
import { type Waiting } from '@rates/service/watched-pool'
import { setTimeout as sleep } from 'node:timers/promises'

const FIRST_MILLISECONDS = 100
const LONGEST_MILLISECONDS = 5_000

/** Does a step until it succeeds, as untilDone does. */
export type Retry = <T>(what: string, work: () => Promise<T>) => Promise<T>

/**
 * Does the work until it succeeds, as long as its faults are known to pass; any other fault is thrown. The answer to a
 * COMMIT may be lost: the work is done again then, so it has to find by itself, in the ledger, what it did before.
 * @param waiting told of the pauses, by what is away
 * @throws Stopped when the signal aborts a wait
 */
export async function untilDone<T>(
  what: string,
  signal: AbortSignal,
  log: Logger,
  onRetry: (reason: string) => void,
  waiting: Waiting,
  work: () => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      const unknown = error instanceof CommitUnknown
      if (!unknown && !isTransient(error)) throw error
      onRetry(unknown ? 'commit_unknown' : ((error as { code?: string }).code ?? 'connection'))
      // Half fixed, half random: workers that lost the same server do not come back in step.
      const longest = Math.min(FIRST_MILLISECONDS * 2 ** attempt, LONGEST_MILLISECONDS)
      const pause = longest / 2 + Math.random() * (longest / 2)
      log.warn({ err: error, attempt: attempt + 1, pause: Math.round(pause) }, `${what}: trying again`)
      await waiting(isOfKafka(error) ? 'broker' : 'db', sleep(pause, undefined, { signal })).catch(() => {
        throw new Stopped()
      })
    }
    if (signal.aborted) throw new Stopped()
  }
}

/** Of kafkajs, by the names of its errors; everything else that passes is PostgreSQL's. */
export const isOfKafka = (error: unknown): boolean =>
  (error as { name?: unknown } | undefined)?.name?.toString().startsWith('KafkaJS') === true
