import { type DailyRate } from '@rates/core/daily-rates'
import { type JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { messageOf } from '../api.ts'
import { plural } from '../format.ts'
import { Refusal } from '../parts/notes.tsx'
import { batchPath } from '../routes.ts'
import { ratesPath, type ExploreQuery } from './query.ts'
import { amount, wordsOf } from './series.ts'
import { useAnswer } from '../use-answer.ts'

/** As `explain=true` answers. */
interface ExplainedRate extends DailyRate {
  batches: { id: string | null; source: string | null; count: number; sum: number }[]
  batchCount: number
}

interface Props {
  query: ExploreQuery & { day: string }
  /** Take the focus: it was chosen by somebody who cannot see that something has appeared here. */
  focus: boolean
}

/** Which batches the prices of a day come from. */
export function DayBatches({ query: { orig, dest, day }, focus }: Props): JSX.Element {
  const path = ratesPath({ orig, dest, from: day, to: day }, { explain: 'true' })
  const { data, error, busy, askAgain } = useAnswer<{ rates: ExplainedRate[] }>(path)
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    if (focus) heading.current?.focus()
  }, [focus, day])
  const rate = data?.rates[0]
  return (
    <section class="day" aria-label="Batches of the day" aria-busy={busy}>
      <h2 ref={heading} tabIndex={-1}>
        {day}
        {rate?.day === day && `: ${wordsOf(rate)}`}
      </h2>
      {error !== undefined && (
        <Refusal>
          {messageOf(error)}{' '}
          <button type="button" onClick={askAgain}>
            Try again
          </button>
        </Refusal>
      )}
      {rate && (
        <div class={busy ? 'busy' : undefined}>
          <BatchTable rate={rate} />
        </div>
      )}
    </section>
  )
}

function BatchTable({ rate: { batches, batchCount } }: { rate: ExplainedRate }): JSX.Element {
  if (batches.length === 0) return <p class="note">No batch has prices of this day.</p>
  return (
    <>
      <div class="wide">
        <table>
          <thead>
            <tr>
              <th scope="col">batch</th>
              <th scope="col">source</th>
              <th scope="col" class="right">
                prices
              </th>
              <th scope="col" class="right">
                their average
              </th>
            </tr>
          </thead>
          <tbody>
            {batches.map(({ id, source, count, sum }, i) => (
              <tr key={id ?? i}>
                <td class="id">
                  {id === null ? (
                    <span class="soft">forgotten by the ledger</span>
                  ) : (
                    <a href={batchPath({ id, dryRun: false })}>{id}</a>
                  )}
                </td>
                <td>{source ?? <span class="soft">–</span>}</td>
                <td class="right">{count}</td>
                <td class="right">{amount(sum / count)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {batchCount > batches.length && (
        <p class="note">
          {plural(batchCount, 'batch', 'batches')} have prices of this day; these are the {batches.length} with the
          most.
        </p>
      )}
    </>
  )
}
