import { csvLine } from '@rates/core/csv-line'
import { type DailyRate } from '@rates/core/daily-rates'
import { type ExplainedRate } from './explained-rates.ts'

const COLUMNS = ['day', 'count', 'price']
const EXPLAINED = [...COLUMNS, 'batch_count', 'batch', 'source', 'batch_prices', 'batch_sum']

/** A header line, and a line for each day; if the batches are named, for each day and batch. */
export function ratesCsv(rates: readonly (DailyRate | ExplainedRate)[], explained: boolean): string {
  return csvLine(explained ? EXPLAINED : COLUMNS) + rates.map((rate) => linesOf(rate)).join('')
}

function linesOf(rate: DailyRate | ExplainedRate): string {
  const day = [rate.day, rate.count, rate.price]
  if (!('batches' in rate)) return csvLine(day)
  const whole = [...day, rate.batchCount]
  if (rate.batches.length === 0) return csvLine([...whole, null, null, null, null])
  return rate.batches.map(({ id, source, count, sum }) => csvLine([...whole, id, source, count, sum])).join('')
}
