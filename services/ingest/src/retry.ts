import { type Logger } from '@rates/service/log'
import { CommitUnknown } from '@rates/service/postgres'
import { waitOut } from '@rates/service/wait-out'
import { type Waiting } from '@rates/service/watched-pool'

/** Does a step until it succeeds, as untilDone does. */
export type Retry = <T>(what: string, work: () => Promise<T>) => Promise<T>

/**
 * Does the work until it succeeds, as long as its faults are known to pass; any other fault is thrown. The answer to a
 * COMMIT may be lost: the work is done again then, so it has to find by itself, in the ledger, what it did before.
 * @param waiting told of the pauses, by what is away
 * @throws Stopped when the signal aborts a wait
 */
export function untilDone<T>(
  what: string,
  signal: AbortSignal,
  log: Logger,
  onRetry: (reason: string) => void,
  waiting: Waiting,
  work: () => Promise<T>,
): Promise<T> {
  return waitOut(what, work, {
    signal,
    log,
    pausing(error, pause) {
      onRetry(error instanceof CommitUnknown ? 'commit_unknown' : ((error as { code?: string }).code ?? 'connection'))
      return waiting(isOfKafka(error) ? 'broker' : 'db', pause)
    },
  })
}

/** Of kafkajs, by the names of its errors; everything else that passes is PostgreSQL's. */
export const isOfKafka = (error: unknown): boolean =>
  (error as { name?: unknown } | undefined)?.name?.toString().startsWith('KafkaJS') === true
