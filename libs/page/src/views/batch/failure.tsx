import { type Batch } from '@rates/core/batch'
import { type JSX } from 'preact'
import { count } from '../../format.ts'
import { ruleWords } from './rule-words.ts'

/** Why it failed or was cancelled, and what can be done. */
export function Failure({ batch: { error, state, dryRun } }: { batch: Batch }): JSX.Element | null {
  if (error === null) return null
  const { code, message, rules, missingChunks } = error
  return (
    <section class={`failure ${state}`} aria-label="Error">
      <p>
        <b>{code}</b> {message}
      </p>
      {rules !== undefined && (
        <ul>
          {Object.entries(rules).map(([rule, n]) => (
            <li key={rule}>
              <b>{count(n)}</b> × {rule} <span class="soft">{ruleWords(rule)}</span>
            </li>
          ))}
        </ul>
      )}
      {missingChunks !== undefined && missingChunks.length > 0 && (
        <p>Missing {missingChunks.length === 1 ? 'chunk' : 'chunks'}: {missingChunks.join(', ')}</p>
      )}
      {rules?.unknown_port !== undefined && (
        <p class="soft">
          Is a port missing here? Add it (<a href="docs">PUT /ports/:code</a> or{' '}
          <code>npx rates ports import FILE.csv</code>){dryRun ? '.' : ', then run the batch again.'}
        </p>
      )}
    </section>
  )
}
