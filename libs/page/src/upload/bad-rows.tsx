import { type Batch } from '@rates/core/batch'
import { type Rule } from '@rates/core/rejection'
import { type JSX } from 'preact'
import { useState } from 'preact/hooks'
import { messageOf } from '../api.ts'
import { count, plural } from '../format.ts'
import { Refusal } from '../parts/notes.tsx'
import { ruleWords } from '../parts/rule-words.ts'
import { useAnswer } from '../use-answer.ts'

/** As `GET /batches/:id/errors` answers; the first 1 000. */
interface Errors {
  rejected: number
  errors: {
    row: number | null
    chunk: number
    rowInChunk: number
    field: string | null
    value: string
    rule: Rule
    text: string
  }[]
}

const AT_ONCE = 20

/** What is wrong with the rows of a batch that failed for them. */
export function BadRows({ batch: { id, dryRun, error } }: { batch: Batch }): JSX.Element {
  const path = `batches/${encodeURIComponent(id)}/errors?${dryRun ? 'dryRun=true&' : ''}format=`
  const { data, error: fault, askAgain } = useAnswer<Errors>(`${path}json`)
  const rules = (Object.entries(error?.rules ?? {}) as [Rule, number][]).sort(([, a], [, b]) => b - a)
  return (
    <>
      <ul class="rules">
        {rules.map(([rule, rows]) => (
          <li key={rule}>
            <strong>{count(rows)}</strong> × {ruleWords(rule)} <code class="soft">{rule}</code>
          </li>
        ))}
      </ul>
      <p class="buttons">
        <a class="button" href={`${path}csv`} download={`${id}-errors.csv`}>
          All as CSV
        </a>{' '}
        <a class="button" href={`${path}ndjson`} download={`${id}-errors.ndjson`}>
          All as NDJSON
        </a>
      </p>
      {fault !== undefined && (
        <Refusal>
          {messageOf(fault)}{' '}
          <button type="button" onClick={askAgain}>
            Try again
          </button>
        </Refusal>
      )}
      {data && <Table {...data} />}
    </>
  )
}

function Table({ rejected, errors }: Errors): JSX.Element {
  const [shown, setShown] = useState(AT_ONCE)
  return (
    <>
      <div class="wide" tabIndex={0} role="region" aria-label="Bad rows">
        <table class="bad-rows">
          <thead>
            <tr>
              <th scope="col" class="right">
                row
              </th>
              <th scope="col">field</th>
              <th scope="col">value</th>
              <th scope="col">what is wrong</th>
              <th scope="col">the row as it came</th>
            </tr>
          </thead>
          <tbody>
            {errors.slice(0, shown).map(({ row, chunk, rowInChunk, field, value, rule, text }) => (
              <tr key={`${chunk} ${rowInChunk}`}>
                <td class="right">{row === null ? `${rowInChunk} of chunk ${chunk}` : count(row)}</td>
                <td>{field ?? <span class="soft">–</span>}</td>
                <td>{value === '' ? <span class="soft">nothing</span> : <code>{value}</code>}</td>
                <td>{ruleWords(rule)}</td>
                <td>
                  <code>{text}</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {errors.length > shown ? (
        <button type="button" onClick={() => setShown(shown * 2)}>
          Show more of the {plural(rejected, 'bad row')}
        </button>
      ) : (
        rejected > shown && (
          <p class="note">
            These are the first {errors.length} of {plural(rejected, 'bad row')}: the files have all.
          </p>
        )
      )}
    </>
  )
}
