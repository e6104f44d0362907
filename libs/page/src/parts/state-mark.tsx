import { type Batch, type BatchState } from '@rates/core/batch'
import { type JSX } from 'preact'

const NAMES: Record<BatchState, string> = {
  pending: 'pending',
  in_progress: 'loading',
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'cancelled',
  reverted: 'reverted',
  replaced: 'replaced',
}

/** The state in a word; its colour says the same. */
export function StateMark({ state, dryRun }: Pick<Batch, 'state' | 'dryRun'>): JSX.Element {
  return (
    <span class={`state ${state}`}>
      {NAMES[state]}
      {dryRun && ' (dry run)'}
    </span>
  )
}
