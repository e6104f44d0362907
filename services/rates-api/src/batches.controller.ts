import { Controller, Headers, Param, Query, Res } from '@nestjs/common'
import { BATCH_ID } from '@rates/core/wire'
import { type Batch } from '@rates/core/batch'
import { type FastifyReply } from 'fastify'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { asCsv, asNdjson, BatchErrors, type BadRow } from './batch-errors.ts'
import { Ledger } from './ledger.ts'
import { Problem } from './problem.ts'
import { readParameters, Route } from './route.ts'
import { batchesSchema, batchSchema, BATCH_STATES, problemSchema, rowErrorsSchema } from './schemas.ts'

const MAX_PAGE = 200
const MAX_JSON_ERRORS = 1000

const stateNames = BATCH_STATES.join(', ')
const isState = (text: string): text is Batch['state'] => (BATCH_STATES as readonly string[]).includes(text)

const listQuery = z.object({
  state: z
    .string()
    .transform((text) => text.split(','))
    .refine((states): states is Batch['state'][] => states.every(isState), `is not a list of ${stateNames}`)
    .optional()
    .meta({ description: `Only these, separated by commas: ${stateNames}.`, examples: ['pending,in_progress'] }),
  source: z.string().optional().meta({ description: 'Only batches of this source.' }),
  dryRun: z.enum(['true', 'false']).optional().meta({ description: 'Only dry runs, or none of them.' }),
  since: timeParameter('Opened at this time or later.'),
  until: timeParameter('Opened before this time.'),
  cursor: z
    .string()
    .regex(/^[0-9a-z]{1,13}$/, 'is not a cursor of this list')
    .transform((text) => readCursor(text))
    .optional()
    .meta({ description: '`nextCursor` of the page before.' }),
  limit: z
    .string()
    .regex(/^\d{1,4}$/, 'is not a whole number')
    .transform(Number)
    .refine((limit) => limit >= 1 && limit <= MAX_PAGE, `is not from 1 to ${MAX_PAGE}`)
    .default(50)
    .meta({ description: `Batches on a page, ${MAX_PAGE} at most.` }),
})

export const idParams = z.object({ id: z.string().meta({ description: "The batch's id." }) })
export const dryRunQuery = z.object({
  dryRun: z.enum(['true', 'false']).default('false').meta({ description: "`true`: the record of the id's dry run." }),
})
const errorsQuery = dryRunQuery.extend({
  format: z
    .enum(['json', 'csv', 'ndjson'])
    .optional()
    .meta({ description: 'Instead of the `Accept` header. JSON has the first 1 000, CSV and NDJSON have all.' }),
})

export const notFound = { description: 'There is no such batch.', schema: problemSchema }

@Controller()
export class BatchesController {
  readonly #ledger: Ledger
  readonly #errors: BatchErrors

  constructor(ledger: Ledger, errors: BatchErrors) {
    this.#ledger = ledger
    this.#errors = errors
  }

  @Route({
    method: 'GET',
    path: '/batches',
    summary: 'Batches, the newest first',
    query: listQuery,
    answers: {
      200: { description: 'A page of batches.', schema: batchesSchema },
      400: { description: 'A parameter is wrong.', schema: problemSchema },
    },
  })
  async list(@Query() query: unknown): Promise<{ batches: Batch[]; nextCursor: string | null }> {
    const { dryRun, ...filter } = readParameters(listQuery, query)
    const dry = dryRun === undefined ? undefined : dryRun === 'true'
    const { batches, nextCursor } = await this.#ledger.list({ ...filter, dryRun: dry })
    return { batches, nextCursor: nextCursor === null ? null : nextCursor.toString(36) }
  }

  @Route({
    method: 'GET',
    path: '/batches/:id',
    summary: 'One batch: its state, counts, progress, times and faults',
    params: idParams,
    query: dryRunQuery,
    answers: { 200: { description: 'The batch.', schema: batchSchema }, 404: notFound },
  })
  async show(@Param('id') id: string, @Query() query: unknown): Promise<Batch> {
    const { dryRun } = readParameters(dryRunQuery, query)
    const batch = BATCH_ID.test(id) ? await this.#ledger.find(id, dryRun === 'true') : undefined
    if (batch === undefined) throw noBatch(id)
    return batch
  }

  @Route({
    method: 'GET',
    path: '/batches/:id/errors',
    summary: 'The bad rows of a batch',
    params: idParams,
    query: errorsQuery,
    answers: {
      200: {
        description: 'JSON has the first 1 000, CSV and NDJSON (an object for each row) have all.',
        schema: rowErrorsSchema,
        contentTypes: ['text/csv', 'application/x-ndjson'],
      },
      404: notFound,
    },
  })
  async errors(
    @Param('id') id: string,
    @Query() query: unknown,
    @Headers('accept') accept: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { dryRun, format } = readParameters(errorsQuery, query)
    const found = BATCH_ID.test(id) ? await this.#errors.find(id, dryRun === 'true') : undefined
    if (found === undefined) throw noBatch(id)
    const { batch, rejected, rows } = found
    switch (format ?? preferred(accept)) {
      case 'csv':
        await reply.header('content-type', 'text/csv; charset=utf-8').send(Readable.from(asCsv(rows)))
        return
      case 'ndjson':
        await reply.header('content-type', 'application/x-ndjson').send(Readable.from(asNdjson(rows)))
        return
      case 'json':
        await reply.send({ batch, rejected, errors: await firstOf(rows, MAX_JSON_ERRORS) })
    }
  }
}

/** The first of our types that the caller names; JSON for everyone else. */
function preferred(accept = ''): 'json' | 'csv' | 'ndjson' {
  for (const range of accept.split(',')) {
    const type = range.split(';')[0]!.trim().toLowerCase()
    if (type === 'text/csv') return 'csv'
    if (type === 'application/x-ndjson') return 'ndjson'
    if (type === 'application/json') return 'json'
  }
  return 'json'
}

async function firstOf(rows: AsyncIterable<BadRow>, count: number): Promise<BadRow[]> {
  const first: BadRow[] = []
  for await (const row of rows) {
    first.push(row)
    if (first.length === count) break
  }
  return first
}

export function noBatch(id: string): Problem {
  return new Problem(404, `There is no batch ${JSON.stringify(id.slice(0, 128))}.`)
}

/** Cursors are numbers of the ledger in base 36. */
function readCursor(text: string): bigint {
  let value = 0n
  for (const digit of text) value = value * 36n + BigInt(Number.parseInt(digit, 36))
  return value
}

function timeParameter(description: string) {
  return z.iso
    .datetime({ offset: true, error: 'is not a time as 2026-11-21T08:00:00Z' })
    .transform((text) => new Date(text))
    .optional()
    .meta({ description })
}
