import { type Batch, type BatchError } from '@rates/core/batch'
import { type Rule } from '@rates/core/rejection'
import { type JSX } from 'preact'
import { count } from '../format.ts'
import { ruleWords } from './rule-words.ts'

/** Why it failed or was cancelled, and what can be done. */
export function Failure({ batch: { error, state } }: { batch: Batch }): JSX.Element | null {
  if (error === null) return null
  const { code, message, rules, missingChunks } = error
  return (
    <section class={`failure ${state}`} aria-label="Error">
      <p>
        <b>{code}</b> {message}
      </p>
      {rules !== undefined && (
        <ul>
          {mostFirst(rules).map(([rule, n]) => (
            <li key={rule}>
              <b>{count(n)}</b> × {rule} <span class="soft">{ruleWords(rule)}</span>
            </li>
          ))}
        </ul>
      )}
      {missingChunks !== undefined && missingChunks.length > 0 && (
        <p>
          Missing {missingChunks.length === 1 ? 'chunk' : 'chunks'}: {missingChunks.join(', ')}
        </p>
      )}
    </section>
  )
}

const mostFirst = (rules: NonNullable<BatchError['rules']>): [Rule, number][] =>
  (Object.entries(rules) as [Rule, number][]).sort(([, a], [, b]) => b - a)
