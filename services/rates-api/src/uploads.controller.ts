import { Controller, Inject, Query, Req, Res } from '@nestjs/common'
import { type FastifyReply, type FastifyRequest } from 'fastify'
import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import { batchLinks } from './batch-view.ts'
import { Problem, stopping } from './problem.ts'
import { readParameters, Route } from './route.ts'
import { acceptedSchema, problemSchema } from './schemas.ts'
import { discardRest, readBody } from './upload-body.ts'
import { batchHeaders, encodingOf, formatOf, fromQuery, readBatchHeaders, uploadQuery } from './upload-headers.ts'
import { type UploadMetrics } from './upload-metrics.ts'
import { Uploads } from './uploads.ts'

export interface UploadSettings {
  publicUrl: string
  maxBytes: number
  idleMs: number
  atOnce: number
  replyTopics: readonly string[]
  /** Aborted when the process cannot wait for uploads any longer. */
  signal: AbortSignal
  metrics: UploadMetrics
}
export const UPLOAD_SETTINGS = Symbol('upload settings')

/** As headers; each may stand in the query instead. */
const uploadHeaders = z.object({
  'idempotency-key': z
    .string()
    .regex(/^[^\u0000-\u001f\u007f]{1,255}$/, 'is not 1 to 255 characters without control characters')
    .optional()
    .meta({ description: 'The same key with the same content, whatever its order or format, is the same batch.' }),
  'batch-id': z
    .string()
    .optional()
    .meta({ description: '1 to 128 of A-Z a-z 0-9 . _ : -; without it the batch gets a UUID. Also `?id=`.' }),
  ...batchHeaders.shape,
})

const problem = (description: string): { description: string; schema: z.ZodType } => ({
  description,
  schema: problemSchema,
})
const LOCATION = { location: 'The batch.', 'retry-after': 'Seconds until it is worth to ask for it.' }

@Controller()
export class UploadsController {
  readonly #uploads: Uploads
  readonly #settings: UploadSettings
  #going = 0

  constructor(uploads: Uploads, @Inject(UPLOAD_SETTINGS) settings: UploadSettings) {
    this.#uploads = uploads
    this.#settings = settings
  }

  @Route({
    method: 'POST',
    path: '/batches',
    summary: 'Upload a batch of prices',
    description:
      'The content is streamed as it is (no multipart); `content-encoding` may be gzip or zstd. Accepted means that all ' +
      'of it is on its way: ask for the batch to see its outcome. An upload that breaks leaves a cancelled batch.',
    query: uploadQuery,
    headers: uploadHeaders,
    body: {
      description: 'The prices.',
      contentTypes: {
        'text/csv': 'orig_code,dest_code,day,price\nCNSGH,NLRTM,2021-01-01,1154\n',
        'application/x-ndjson': '{"orig_code":"CNSGH","dest_code":"NLRTM","day":"2021-01-01","price":1154}\n',
      },
    },
    answers: {
      200: {
        description: 'The same content came by this key before, and has its outcome.',
        schema: acceptedSchema,
        headers: { location: 'The batch.' },
      },
      202: {
        description: 'All of it is on its way, or was before by this key.',
        schema: acceptedSchema,
        headers: LOCATION,
      },
      400: problem('A parameter is wrong, or the content is empty, broken off or not what its encoding says.'),
      408: problem('Nothing came for too long.'),
      409: problem('The id is taken, or the key was used for other content, or its upload is still going on.'),
      413: problem('Too much content.'),
      415: problem('Not a type or an encoding that is taken here.'),
    },
  })
  async upload(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Query() query: unknown): Promise<void> {
    const { signal, atOnce, metrics } = this.#settings
    try {
      // Until then what comes is taken: a stop is told to callers by the end of their connection, not by a refusal.
      if (signal.aborted) throw stopping()
      if (this.#going >= atOnce) {
        throw new Problem(503, `${atOnce} uploads are going on already.`, { headers: { 'retry-after': '2' } })
      }
      this.#going++
      metrics.going.inc()
      try {
        await this.#take(request, reply, query)
      } finally {
        this.#going--
        metrics.going.dec()
      }
    } catch (error) {
      metrics.threw(error)
      discardRest(request.raw)
      throw error
    }
  }

  async #take(request: FastifyRequest, reply: FastifyReply, query: unknown): Promise<void> {
    const { publicUrl, maxBytes, idleMs, signal, metrics, replyTopics } = this.#settings
    const given = { ...fromQuery(query), ...readParameters(uploadHeaders, request.headers) }
    const { 'idempotency-key': idempotencyKey, ...wire } = given
    const named = { ...wire, 'batch-id': wire['batch-id'] ?? uuidv7() }
    const headers = readBatchHeaders(named, request.headers['traceparent'], replyTopics)
    const format = formatOf(request.headers['content-type'])
    const encoding = encodingOf(request.headers['content-encoding'])
    if (encoding === 'identity' && Number(request.headers['content-length'] ?? 0) > maxBytes) {
      throw new Problem(413, `The content has more than ${maxBytes} bytes.`)
    }
    const received = metrics.received()
    const size = Number(request.headers['content-length'] ?? 0)
    const progress = size > 0 ? () => received.bytes / size : undefined
    const body = readBody(request.raw, encoding, { maxBytes, idleMs }, signal, received)
    const { id, dryRun, rows, ended } = await this.#uploads.take({ headers, format, body, progress, idempotencyKey })
    metrics.answered(ended)
    const links = batchLinks(id, dryRun, publicUrl)
    if (!ended) void reply.header('retry-after', '1')
    await reply
      .status(ended ? 200 : 202)
      .header('location', links.self)
      .send({ id, dryRun, rows, links })
  }
}
