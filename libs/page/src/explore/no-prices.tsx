import { type DailyRate } from '@rates/core/daily-rates'
import { MAX_RANGE_DAYS } from '@rates/core/rates-query'
import { type JSX } from 'preact'
import { daysLater, lengthOf, ratesPath, until, type ExploreQuery } from './query.ts'
import { useAnswer } from '../use-answer.ts'

interface Props {
  query: ExploreQuery
  today: string
  onGo(range: { from: string; to: string }): void
}

/** Says that a range has no prices, and where the newest ones are. */
export function NoPrices({ query, today, onGo }: Props): JSX.Element {
  const wide = until(daysLater(today, 366), MAX_RANGE_DAYS)
  const { data, busy } = useAnswer<{ rates: DailyRate[] }>(ratesPath({ ...query, ...wide }))
  const newest = data?.rates.find(({ count }) => count !== null)?.day
  return (
    <p class="note" role="status">
      There are no prices of these days.{' '}
      {!busy && data !== undefined && newest === undefined && 'Nor are there any of the last nine years.'}
      {newest !== undefined && (
        <button
          type="button"
          onClick={() => onGo(until(newest, Math.min(lengthOf(query.from, query.to), MAX_RANGE_DAYS)))}
        >
          Show the newest ones, until {newest}
        </button>
      )}
    </p>
  )
}
