import { type Batch, type RevertRefusal } from '@rates/core/batch'
import { cancel } from '@rates/service/ledger/cancel'
import { type ReplySettings } from '@rates/service/ledger/finish'
import { revertIn } from '@rates/service/ledger/revert'
import { failpoint } from '@rates/service/failpoints'
import { withTransaction } from '@rates/service/postgres'
import { type Pool } from 'pg'
import { type Ledger } from './ledger.ts'
import { Problem } from './problem.ts'

export interface ActionParts {
  pool: Pool
  ledger: Ledger
  replies: ReplySettings
  /** Days in which a batch that succeeded may be reverted. */
  windowDays: number
}

/** What people do to a batch that is there. Each may be repeated: the second time nothing changes. */
export class BatchActions {
  readonly #parts: ActionParts

  constructor(parts: ActionParts) {
    this.#parts = parts
  }

  /** Hides a batch that succeeded, and shows the one again that it had replaced. @throws Problem 404, 409 */
  async revert(id: string): Promise<Batch> {
    const { pool, windowDays } = this.#parts
    const reverted = await withTransaction(pool, (client) => revertIn(client, id, false, windowDays))
    if (reverted.kind === 'refused') {
      const { code, message, batch } = reverted
      throw refused(code, message, {
        ...(batch && { state: (await this.#read(id, false)).state }),
        ...(batch?.replacedBy != null && { replacedBy: batch.replacedBy }),
      })
    }
    failpoint('after-revert')
    return this.#read(id, false)
  }

  /** Ends a batch that has not ended. @throws Problem 404, 409 */
  async cancel(id: string, dryRun: boolean): Promise<Batch> {
    const { pool, replies } = this.#parts
    const cancelled = await cancel(pool, id, dryRun, replies)
    if (!cancelled) throw refused('not_found', `there is no ${dryRun ? 'dry run' : 'batch'} ${id}`, {})
    if (cancelled.kind === 'ended' && cancelled.state !== 'cancelled') {
      const { state } = cancelled
      const hint = state === 'succeeded' && !dryRun ? ': it can be reverted' : ''
      throw refused('ended', `${dryRun ? 'dry run' : 'batch'} ${id} has ended (${state})${hint}`, { state })
    }
    return this.#read(id, dryRun)
  }

  async #read(id: string, dryRun: boolean): Promise<Batch> {
    const batch = await this.#parts.ledger.find(id, dryRun)
    if (!batch) throw new Error(`batch ${id} is gone`) // the ledger keeps what was just changed
    return batch
  }
}

function refused(code: RevertRefusal | 'ended', message: string, more: object): Problem {
  const detail = `${message.charAt(0).toUpperCase()}${message.slice(1)}.`
  return new Problem(code === 'not_found' ? 404 : 409, detail, { extensions: { code, ...more } })
}
