import { type DailyRate } from '@rates/core/daily-rates'
import { type ComponentChildren, type JSX } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import { CopyButton } from '../parts/copy-button.tsx'
import { Chart } from './chart.tsx'
import { DayBatches } from './day-batches.tsx'
import { DaysTable } from './days-table.tsx'
import { ratesPath, type ExploreQuery } from './query.ts'
import { seriesOf, summaryOf, wordsOf } from './series.ts'

interface Props {
  /** The newest day first. */
  rates: readonly DailyRate[]
  query: ExploreQuery
  onDay(day: string): void
  /** Shown where there are no prices at all. */
  children: ComponentChildren
}

/** An answer as a chart, a table and a file; a day of it with the batches that it comes from. */
export function RatesOfDays({ rates, query, onDay, children }: Props): JSX.Element {
  const series = useMemo(() => seriesOf(rates), [rates])
  const [pointed, setPointed] = useState<number | null>(null)
  const [byKeyboard, setByKeyboard] = useState(false)
  const chosen = query.day === null ? -1 : series.days.indexOf(query.day)
  const choose = (day: string, focus: boolean): void => {
    setByKeyboard(focus)
    onDay(day)
  }
  if (rates.every(({ count }) => count === null)) return <>{children}</>
  return (
    <>
      <figure class="averages">
        <figcaption>{summaryOf(rates)}</figcaption>
        <Readout rate={rates[rates.length - 1 - (pointed ?? chosen)]} />
        <Chart
          series={series}
          chosen={chosen < 0 ? null : chosen}
          onPoint={setPointed}
          onChoose={(index) => choose(series.days[index]!, false)}
        />
        <p class="note key" aria-hidden="true">
          <span class="enough" /> prices a day <span class="few" /> too few for an average, which takes three
        </p>
      </figure>
      {chosen >= 0 && <DayBatches query={{ ...query, day: series.days[chosen]! }} focus={byKeyboard} />}
      <DaysTable rates={rates} chosen={query.day} onChoose={(day) => choose(day, true)} />
      <TakeAway query={query} />
    </>
  )
}

/** Of the day at the pointer, else of the chosen one. */
function Readout({ rate }: { rate: DailyRate | undefined }): JSX.Element {
  return (
    <p class="readout" aria-hidden="true">
      {rate ? (
        <>
          <strong>{rate.day}</strong> {wordsOf(rate)}
        </>
      ) : (
        <span class="soft">Choose a day to see which batches it comes from.</span>
      )}
    </p>
  )
}

function TakeAway({ query }: { query: ExploreQuery }): JSX.Element {
  const call = `curl '${new URL(ratesPath(query), document.baseURI).href}'`
  const name = `rates-${query.orig}-${query.dest}-${query.from}-${query.to}.csv`
  return (
    <section class="takeaway">
      <h2>Take it away</h2>
      <p>
        <a class="button" href={ratesPath(query, { format: 'csv' })} download={name}>
          CSV
        </a>
      </p>
      <p class="call">
        <code>{call}</code> <CopyButton text={call} what="call of the API" />
      </p>
    </section>
  )
}
