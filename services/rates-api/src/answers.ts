import { type Batch } from '@rates/core/batch'
import { asCsv, asNdjson, type BadRow } from '@rates/core/bad-rows'
import { type RatesQuery } from '@rates/core/rates-query'
import { BATCH_ID } from '@rates/core/wire'
import { type BatchErrors } from './batch-errors.ts'
import { type Ledger } from './ledger.ts'
import { noBatch, notSeenYet } from './no-batch.ts'
import { ratesCsv } from './rates-csv.ts'
import { type Rates } from './rates.ts'

const MAX_JSON_ERRORS = 1000

export const ANSWER_TYPES = { json: 'application/json', csv: 'text/csv', ndjson: 'application/x-ndjson' } as const

export interface Answer<Body = string | AsyncIterable<string>> {
  readonly contentType: (typeof ANSWER_TYPES)[keyof typeof ANSWER_TYPES]
  /** In pieces where it may be of any size. */
  readonly body: Body
}

/** As HTTP's header tells it. NDJSON is UTF-8 by definition, and CSV is not. */
export const httpType = ({ contentType }: { readonly contentType: string }): string =>
  contentType === 'application/x-ndjson' ? contentType : `${contentType}; charset=utf-8`

/** What both doors answer, HTTP and messages: the same bytes. */
export class Answers {
  readonly #rates: Rates
  readonly #ledger: Ledger
  readonly #errors: BatchErrors

  constructor(rates: Rates, ledger: Ledger, errors: BatchErrors) {
    this.#rates = rates
    this.#ledger = ledger
    this.#errors = errors
  }

  async rates(asked: RatesQuery, format: 'json' | 'csv'): Promise<Answer<string>> {
    const rates = await this.#rates.read(asked)
    const body = format === 'json' ? JSON.stringify({ rates }) : ratesCsv(rates, asked.explain)
    return { contentType: ANSWER_TYPES[format], body }
  }

  /** @throws Problem 404 */
  async batch(id: string, dryRun: boolean): Promise<Answer<string>> {
    if (!BATCH_ID.test(id)) throw noBatch(id)
    const batch = await this.#ledger.find(id, dryRun)
    if (batch === undefined) throw notSeenYet(id)
    return batchAnswer(batch)
  }

  /** @throws Problem 404 */
  async errors(id: string, dryRun: boolean, format: keyof typeof ANSWER_TYPES): Promise<Answer<AsyncIterable<string>>> {
    const found = BATCH_ID.test(id) ? await this.#errors.find(id, dryRun) : undefined
    if (found === undefined) throw noBatch(id)
    const { batch, rejected, rows } = found
    const contentType = ANSWER_TYPES[format]
    if (format === 'csv') return { contentType, body: asCsv(rows) }
    if (format === 'ndjson') return { contentType, body: asNdjson(rows) }
    return { contentType, body: asJson({ batch, rejected }, rows) }
  }
}

export const batchAnswer = (batch: Batch): Answer<string> => ({
  contentType: ANSWER_TYPES.json,
  body: JSON.stringify(batch),
})

/** The first bad rows, one after the other: a row may have 64 KB. */
async function* asJson(of: { batch: string; rejected: number }, rows: AsyncIterable<BadRow>): AsyncGenerator<string> {
  yield `${JSON.stringify(of).slice(0, -1)},"errors":[`
  let count = 0
  for await (const row of rows) {
    yield (count === 0 ? '' : ',') + JSON.stringify(row)
    if (++count === MAX_JSON_ERRORS) break
  }
  yield ']}'
}
