import type pg from 'pg'
import { failpoint } from '../failpoints.ts'
import { withTransaction } from '../postgres.ts'
import { endEarlyIn } from './end-early.ts'
import { type ReplySettings } from './finish.ts'
import { findBatch, type LedgerBatch } from './open.ts'

export const CANCELLED = { code: 'cancelled', message: 'its sender cancelled it' } as const

/**
 * Cancels a batch that has not ended: its one reply says so.
 * @returns `ended`: it had its outcome before, in `state`, and nothing changed; undefined: there is none
 */
export async function cancel(
  pool: pg.Pool,
  id: string,
  dryRun: boolean,
  settings: ReplySettings,
): Promise<{ kind: 'cancelled' } | { kind: 'ended'; state: LedgerBatch['state'] } | undefined> {
  const cancelled = await withTransaction(pool, async (client) => {
    const batch = await findBatch(client, id, dryRun)
    if (!batch) return undefined
    if (await endEarlyIn(client, batch.no, 'cancelled', CANCELLED, settings)) return { kind: 'cancelled' } as const
    // Read again: it may have ended in between.
    return { kind: 'ended', state: (await findBatch(client, id, dryRun))!.state } as const
  })
  if (cancelled?.kind === 'cancelled') failpoint('after-end')
  return cancelled
}
