import { Controller, Inject, Param, Query, Req, Res } from '@nestjs/common'
import { type FastifyReply, type FastifyRequest } from 'fastify'
import { z } from 'zod'
import { batchLinks } from './batch-view.ts'
import { idParams } from './batches.controller.ts'
import { Problem, stopping } from './problem.ts'
import { Retries } from './retry.ts'
import { readParameters, Route } from './route.ts'
import { problemSchema, retriedSchema } from './schemas.ts'
import { readBatchHeaders } from './upload-headers.ts'

export interface RetrySettings {
  publicUrl: string
  /** Aborted when the process cannot wait for anything any longer. */
  signal: AbortSignal
}
export const RETRY_SETTINGS = Symbol('retry settings')

/** People ask for it, one at a time as a rule; each costs Kafka as much as the batch did. */
const AT_ONCE = 2

const retryQuery = z.object({
  id: z.string().optional().meta({ description: "The new batch's id; without it `<id>.retry-1`, or the next free." }),
  deadline: z.string().optional().meta({ description: 'RFC 3339, UTC: when it must be visible. The old one is void.' }),
})

const problem = (description: string): { description: string; schema: z.ZodType } => ({
  description,
  schema: problemSchema,
})

@Controller()
export class RetryController {
  readonly #retries: Retries
  readonly #settings: RetrySettings
  #going = 0

  constructor(retries: Retries, @Inject(RETRY_SETTINGS) settings: RetrySettings) {
    this.#retries = retries
    this.#settings = settings
  }

  @Route({
    method: 'POST',
    path: '/batches/:id/retry',
    summary: 'Run a batch again, while Kafka has its records',
    description:
      'For one that failed, was cancelled or reverted: its records are sent again as a new batch with `retryOf`, with the ' +
      'same source, replaces, correlation-id and reply-to. Accepted means that all of them are on their way. If that ' +
      'breaks, the new batch is cancelled.',
    params: idParams,
    query: retryQuery,
    answers: {
      202: {
        description: 'All of it is on its way, as the batch `id`.',
        schema: retriedSchema,
        headers: { location: 'The new batch.', 'retry-after': 'Seconds until it is worth to ask for it.' },
      },
      400: problem('A parameter is wrong.'),
      404: problem('There is no such batch. `code` is `not_seen_yet`: there may be one later.'),
      409: problem(
        'It cannot be run again. `code`: `not_ended`, `succeeded` (it is visible, or another run of it, `batch`: revert ' +
          'that first), `replaced` (`replacedBy`), `running` (another run of it is loading: `batch`), `incomplete` ' +
          '(`missing`: how many chunks never came), `records_gone` (Kafka has removed them), `dry_run`, `id_taken`.',
      ),
    },
  })
  async retry(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('id') id: string,
    @Query() query: unknown,
  ): Promise<void> {
    const { signal, publicUrl } = this.#settings
    const { id: newId, deadline } = readParameters(retryQuery, query)
    // By the rules of the wire.
    const { traceparent } = readBatchHeaders(
      { 'batch-id': newId ?? 'any', deadline },
      request.headers['traceparent'],
      [],
    )
    if (signal.aborted) throw stopping()
    if (this.#going >= AT_ONCE) {
      throw new Problem(503, `${AT_ONCE} batches are being sent again already.`, { headers: { 'retry-after': '2' } })
    }
    this.#going++
    try {
      const retry = await this.#retries.run(id, { id: newId, deadline, traceparent }, signal)
      const links = batchLinks(retry, false, publicUrl)
      void reply.headers({ location: links.self, 'retry-after': '1' })
      await reply.status(202).send({ id: retry, retryOf: id, links })
    } finally {
      this.#going--
    }
  }
}
