import { Controller, Headers, Param, Query, Res } from '@nestjs/common'
import { BATCH_ID } from '@rates/core/wire'
import { type FastifyReply } from 'fastify'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { preferred } from './accept.ts'
import { ANSWER_TYPES, Answers, batchAnswer, httpType } from './answers.ts'
import { type BatchName } from './batch-feed-look.ts'
import { BatchFollow, hasEnded } from './batch-follow.ts'
import { STREAM_HEADERS } from './batch-stream.ts'
import { beginsToWait } from './http.ts'
import { Ledger } from './ledger.ts'
import { listQuery, writeCursor } from './list-query.ts'
import { AGAIN, noBatch, notSeenYet } from './no-batch.ts'
import { Problem } from './problem.ts'
import { readParameters, Route } from './route.ts'
import { batchesSchema, batchSchema, problemSchema, rowErrorsSchema } from './schemas.ts'
import { waitParameter } from './wait-parameter.ts'

const FORMATS = { json: 'application/json', events: 'text/event-stream' } as const

const formatParameter = z
  .enum(['json', 'events'])
  .optional()
  .meta({ description: 'Instead of the `Accept` header; `events`: as `text/event-stream`.' })
const listOrStreamQuery = listQuery.extend({ format: formatParameter })

export const idParams = z.object({ id: z.string().meta({ description: "The batch's id." }) })
export const dryRunQuery = z.object({
  dryRun: z.enum(['true', 'false']).default('false').meta({ description: "`true`: the record of the id's dry run." }),
})
const showQuery = dryRunQuery.extend({
  wait: waitParameter.optional().meta({
    description:
      'Answers when the batch has its outcome, at the latest after this time (`500ms`, `30s`, `1m`; at most 60 s) with ' +
      'what is. A batch that was not seen yet is waited for, too.',
    examples: ['30s'],
  }),
  format: formatParameter,
  until: z.enum(['outcome']).optional().meta({ description: 'Of a stream: it ends with the outcome.' }),
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
  readonly #follow: BatchFollow
  readonly #answers: Answers

  constructor(ledger: Ledger, follow: BatchFollow, answers: Answers) {
    this.#ledger = ledger
    this.#follow = follow
    this.#answers = answers
  }

  @Route({
    method: 'GET',
    path: '/batches',
    summary: 'Batches, the newest first; or all that happens to them',
    description:
      'As `text/event-stream` it goes on for as long as the caller stays: `event: batch` with a batch as `data` for each ' +
      'that is open and the newest 50, the oldest first; `event: ready`; then `event: batch` for each that changes. It ' +
      'takes no filters.',
    query: listOrStreamQuery,
    answers: {
      200: { description: 'A page of batches.', schema: batchesSchema, contentTypes: [FORMATS.events] },
      400: { description: 'A parameter is wrong.', schema: problemSchema },
    },
  })
  async list(
    @Query() query: unknown,
    @Headers('accept') accept: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { q: words, dryRun, format, ...filter } = readParameters(listOrStreamQuery, query)
    void reply.header('vary', 'accept')
    if ((format ?? preferred(accept, FORMATS)) === 'events') {
      const given = Object.keys(listQuery.shape).filter((name) => Object.hasOwn(query as object, name))
      if (given.length > 0) throw new Problem(400, `${given.join(', ')}: a stream is of all batches`)
      return this.#stream(reply)
    }
    const dry = dryRun === undefined ? undefined : dryRun === 'true'
    const { batches, nextCursor } = await this.#ledger.list({ ...filter, words, dryRun: dry })
    await reply.send({ batches, nextCursor: nextCursor === null ? null : writeCursor(nextCursor) })
  }

  @Route({
    method: 'GET',
    path: '/batches/:id',
    summary: 'One batch: its state, counts, progress, times and faults; or all that happens to it',
    description:
      'As `text/event-stream` it goes on for as long as the caller stays, also beyond the outcome, for a revert may come: ' +
      '`event: batch` with the batch as `data`, as soon as there is one, and whenever it changes. `event: ready` follows ' +
      'what there is at first, if anything. With `until=outcome` it ends with the outcome, by `event: end`.',
    params: idParams,
    query: showQuery,
    answers: {
      200: {
        description: 'The batch.',
        schema: batchSchema,
        contentTypes: [FORMATS.events],
        headers: { 'Retry-After': 'Seconds until asking again; of a batch that has not ended.' },
      },
      400: { description: 'A parameter is wrong.', schema: problemSchema },
      404: {
        ...notFound,
        description: 'There is no such batch. `code` is `not_seen_yet` if there may be one later.',
        headers: { 'Retry-After': 'Seconds until asking again.' },
      },
    },
  })
  async show(
    @Param('id') id: string,
    @Query() query: unknown,
    @Headers('accept') accept: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { dryRun, wait = 0, format, until } = readParameters(showQuery, query)
    if (!BATCH_ID.test(id)) throw noBatch(id)
    const of = { id, dryRun: dryRun === 'true' }
    void reply.header('vary', 'accept')
    if ((format ?? preferred(accept, FORMATS)) === 'events') return this.#stream(reply, of, until)
    let batch = await this.#ledger.find(id, of.dryRun)
    if (wait > 0 && !(batch && hasEnded(batch))) {
      beginsToWait(reply)
      const ended = await this.#follow.outcome(of, wait, reply.raw)
      if (reply.raw.closed) return // nobody is there any more
      batch = ended ?? (await this.#ledger.find(id, of.dryRun))
    }
    if (batch === undefined) throw notSeenYet(id)
    if (!hasEnded(batch)) void reply.header('retry-after', AGAIN)
    const answer = batchAnswer(batch)
    await reply.header('content-type', httpType(answer)).send(answer.body)
  }

  async #stream(reply: FastifyReply, of?: BatchName, until?: 'outcome'): Promise<void> {
    void reply.headers(STREAM_HEADERS)
    if (reply.request.method === 'HEAD') return reply.send()
    const stream = this.#follow.stream(of, until)
    beginsToWait(reply)
    await reply.send(stream)
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
    const { dryRun, format = preferred(accept, ANSWER_TYPES) } = readParameters(errorsQuery, query)
    const answer = await this.#answers.errors(id, dryRun === 'true', format)
    // JSON has a limit, and is whole or a problem; of the others a part may be out before a fault comes.
    const body = format === 'json' ? await text(answer.body) : Readable.from(answer.body)
    await reply.header('content-type', httpType(answer)).send(body)
  }
}
