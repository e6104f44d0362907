import { type Cause, type Stage } from '@rates/core/bottleneck'
import { duration, secondsBetween } from './format.ts'

/** What of GET /bottleneck is told in a line. */
export interface BottleneckAnswer {
  reporting: number
  verdict: { stage: Stage; cause: Cause; since: string } | null
}

const DOES: Record<Stage, string> = {
  fetch: 'reading from Kafka',
  decode: 'decompressing',
  validate: 'checking rows',
  copy: 'storing rows',
  publish: 'publishing',
  respond: 'sending replies',
}
const BECAUSE: Record<Cause, string> = {
  cpu: 'takes all the CPU that it gets',
  db: 'waits for PostgreSQL',
  db_lock: 'waits for a lock in PostgreSQL',
  pool: 'waits for a database connection',
  broker: 'waits for Kafka',
}

/** What holds batches up, in a line; undefined if nothing does. */
export function bottleneckLine({ reporting, verdict }: BottleneckAnswer, now: number): string | undefined {
  if (reporting === 0) return 'No worker runs, or none can reach the database'
  if (verdict === null) return undefined
  const { stage, cause, since } = verdict
  return `Bottleneck: ${DOES[stage]} ${BECAUSE[cause]}, for ${duration(Math.max(1, Math.floor(secondsBetween(since, now))))}`
}
