import { type Batch } from '@rates/core/batch'
import { type JSX } from 'preact'
import { STATE_NAMES } from '../batch-words.ts'

/** The state in a word; its colour says the same. */
export function StateMark({ state, dryRun }: Pick<Batch, 'state' | 'dryRun'>): JSX.Element {
  return (
    <span class={`state ${state}`}>
      {STATE_NAMES[state]}
      {dryRun && ' (dry run)'}
    </span>
  )
}
