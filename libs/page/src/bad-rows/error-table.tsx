import { type BadRow } from '@rates/core/bad-rows'
import { type Batch } from '@rates/core/batch'
import { type JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { messageOf, readJson } from '../api.ts'
import { isOpen } from '../batch-store.ts'
import { count, plural } from '../format.ts'
import { Refusal } from '../parts/notes.tsx'
import { ruleWords } from '../parts/rule-words.ts'
import { countRules, cutField, filterRows, type BadRows } from './bad-rows.ts'

/** Rows that are shown before somebody asks for more: what is below them is not far away. */
const FIRST_ROWS = 20

/** While a batch loads, its bad rows are asked for again after so long. */
const AGAIN_MILLISECONDS = 2000

/** The bad rows: the service lists the first 1 000, and has all of them to download. */
export function ErrorTable({ batch }: { batch: Batch }): JSX.Element | null {
  const { rejected } = batch.rows
  const [rules, setRules] = useState<ReadonlySet<string>>(new Set())
  const [text, setText] = useState('')
  const [all, setAll] = useState(false)
  const { answer, refusal } = useBadRows(batch)
  if (rejected === 0) return null
  const listed = answer?.errors ?? []
  const shown = filterRows(listed, rules, text)
  const toggle = (rule: string): void => setRules(toggled(rules, rule))
  return (
    <section aria-label="Bad rows">
      <h2 class="with-buttons">
        <span>{plural(rejected, 'bad row')}</span>
        <Downloads batch={batch} />
      </h2>
      {refusal !== undefined && <Refusal>{refusal}</Refusal>}
      {answer !== undefined && (
        <>
          <div class="filters">
            <input
              type="search"
              class="words"
              aria-label="Search the bad rows"
              placeholder="row, field, value, text …"
              autocomplete="off"
              spellcheck={false}
              value={text}
              onInput={({ currentTarget }) => setText(currentTarget.value)}
            />
            <div class="chips" role="group" aria-label="Rules">
              {countRules(listed).map(([rule, n]) => (
                <button
                  key={rule}
                  type="button"
                  class="chip failed"
                  aria-pressed={rules.has(rule)}
                  title={ruleWords(rule)}
                  onClick={() => toggle(rule)}
                >
                  {rule} <span class="n">{count(n)}</span>
                </button>
              ))}
            </div>
          </div>
          <p class="note" role={isOpen(batch) ? undefined : 'status'}>
            {shown.length < listed.length && `${count(shown.length)} of ${plural(listed.length, 'row')}. `}
            {listed.length < rejected &&
              `These are the first ${count(listed.length)} of ${count(rejected)}: the downloads have all.`}
          </p>
          <Table rows={all ? shown : shown.slice(0, FIRST_ROWS)} />
          {!all && shown.length > FIRST_ROWS && (
            <p class="buttons">
              <button type="button" onClick={() => setAll(true)}>
                Show all {count(shown.length)}
              </button>
            </p>
          )}
        </>
      )}
    </section>
  )
}

/** Both names of a field and its rule are told as the service has them: that is what a sender's program sees. */
function Table({ rows }: { rows: readonly BadRow[] }): JSX.Element {
  return (
    <div class="wide" role="region" aria-label="The bad rows" tabIndex={0}>
      <table class="errors">
        <thead>
          <tr>
            <th scope="col" class="right">
              Row
            </th>
            <th scope="col">Field</th>
            <th scope="col">Value</th>
            <th scope="col">Rule</th>
            <th scope="col">The row as it came</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.chunk} ${row.rowInChunk}`}>
              <td class="right">{row.row === null ? `${row.chunk}/${row.rowInChunk}` : count(row.row)}</td>
              <td>{row.field}</td>
              <td class="code">{row.value}</td>
              <td title={ruleWords(row.rule)}>{row.rule}</td>
              <td class="code">
                <RowText row={row} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function RowText({ row }: { row: BadRow }): JSX.Element {
  const cut = cutField(row)
  if (cut === undefined) return <>{row.text}</>
  const [before, bad, after] = cut
  return (
    <>
      {before}
      <mark class="bad">{bad}</mark>
      {after}
    </>
  )
}

function Downloads({ batch }: { batch: Batch }): JSX.Element {
  return (
    <span class="downloads">
      {(['csv', 'ndjson'] as const).map((format) => (
        <a key={format} class="button" href={errorsOf(batch, format)} download={`${batch.id}-errors.${format}`}>
          {format === 'csv' ? 'All as CSV' : 'as NDJSON'}
        </a>
      ))}
    </span>
  )
}

const errorsOf = ({ id, dryRun }: Batch, format: 'csv' | 'ndjson' | 'json'): string =>
  `batches/${encodeURIComponent(id)}/errors?format=${format}${dryRun ? '&dryRun=true' : ''}`

function useBadRows(batch: Batch): { answer: BadRows | undefined; refusal: string | undefined } {
  const { rejected } = batch.rows
  const [answer, setAnswer] = useState<BadRows>()
  const [refusal, setRefusal] = useState<string>()
  const left = useRef(new AbortController())
  const readAt = useRef(-Infinity)
  const shownOf = useRef(-Infinity)
  useEffect(() => {
    left.current = new AbortController()
    return () => left.current.abort()
  }, [])
  useEffect(() => {
    if (rejected === 0) return
    const { signal } = left.current
    const read = (): void => {
      const asked = (readAt.current = performance.now())
      /** An answer that comes after that to a later question is old. */
      const isNews = (): boolean => {
        if (signal.aborted || asked < shownOf.current) return false
        shownOf.current = asked
        return true
      }
      readJson<BadRows>(errorsOf(batch, 'json'), signal).then(
        (found) => {
          if (!isNews()) return
          setAnswer(found)
          setRefusal(undefined)
        },
        (error: unknown) => isNews() && setRefusal(messageOf(error)),
      )
    }
    // New ones come all the time while it loads: they are waited for no longer than that.
    const timer = setTimeout(read, Math.max(0, readAt.current + AGAIN_MILLISECONDS - performance.now()))
    return () => clearTimeout(timer)
  }, [rejected, batch.state])
  return { answer, refusal }
}

function toggled(rules: ReadonlySet<string>, rule: string): ReadonlySet<string> {
  const others = new Set(rules)
  if (!others.delete(rule)) others.add(rule)
  return others
}
