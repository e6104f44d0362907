import { type Batch, type BatchState } from '@rates/core/batch'
import { isOpen } from './batch-store.ts'
import { serverNow } from './clock.ts'
import { count, duration, plural, secondsBetween } from './format.ts'

export const STATE_NAMES: Record<BatchState, string> = {
  pending: 'pending',
  in_progress: 'loading',
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'cancelled',
  reverted: 'reverted',
  replaced: 'replaced',
}

/** Seconds since it was opened, until its end or now. */
export const tookSeconds = ({ createdAt, finishedAt }: Batch, now: number): number =>
  secondsBetween(createdAt, finishedAt ?? now)

/** When an open batch is expected to end, else for how long it has been open. */
export function doneIn(batch: Batch, now: number): string {
  if (batch.etaAt === null) return `for ${duration(Math.max(1, Math.floor(tookSeconds(batch, now))))}`
  const left = Math.ceil((Date.parse(batch.etaAt) - now) / 1000)
  return left <= 0 ? 'about done' : `done in ${duration(left)}`
}

/** What is left until the deadline; null without one. While nothing comes of a batch, only the clock knows. */
export function slackOf(batch: Batch, now = serverNow()): { text: string; late: boolean } | null {
  const { deadline, etaAt, slackSeconds } = batch
  const waits = isOpen(batch) && etaAt === null
  const slack = waits && deadline !== null ? Math.floor((Date.parse(deadline) - now) / 1000) : slackSeconds
  if (slack === null) return null
  const late = slack < 0
  const time = duration(Math.abs(slack))
  if (isOpen(batch)) return { text: late ? `${time} too late` : `${time} of slack`, late }
  return { text: late ? `deadline missed by ${time}` : `${time} before its deadline`, late }
}

/** Of how many, if that is known and not told by those that came. */
export function rowsText({ rows: { accepted, rejected, expected } }: Batch): string {
  const came = accepted + rejected
  return expected === null || expected === came ? plural(came, 'row') : `${count(came)} of ${plural(expected, 'row')}`
}
