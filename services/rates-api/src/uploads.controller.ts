import { Controller, Inject, Query, Req, Res } from '@nestjs/common'
import { type BodyFormat } from '@rates/core/chunk-cutter'
import { BATCH_ID, readEnvelope, type BatchHeaders } from '@rates/core/wire'
import { type FastifyReply, type FastifyRequest } from 'fastify'
import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import { batchLinks } from './batch-view.ts'
import { Problem, stopping } from './problem.ts'
import { readParameters, Route } from './route.ts'
import { acceptedSchema, problemSchema } from './schemas.ts'
import { discardRest, ENCODINGS, readBody, type Encoding } from './upload-body.ts'
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

const header = (description: string): z.ZodOptional<z.ZodString> => z.string().optional().meta({ description })

/** As headers; each may stand in the query instead, by the name that QUERY_NAMES gives it. */
const uploadHeaders = z.object({
  'idempotency-key': z
    .string()
    .regex(/^[^\u0000-\u001f\u007f]{1,255}$/, 'is not 1 to 255 characters without control characters')
    .optional()
    .meta({ description: 'The same key with the same content, whatever its order or format, is the same batch.' }),
  'batch-id': header('1 to 128 of A-Z a-z 0-9 . _ : -; without it the batch gets a UUID. Also `?id=`.'),
  source: header('Who sends it.'),
  deadline: header('RFC 3339, UTC: when it must be visible.'),
  'on-deadline': header('`fail` (the default) or `flag`. Also `?onDeadline=`.'),
  replaces: header('The id of the batch that this one takes the place of.'),
  'dry-run': header('`true`: check it and publish nothing. Also `?dryRun=`.'),
  'correlation-id': header('Comes back in the reply. Also `?correlationId=`.'),
  'reply-to': header('The topic of the reply, one of those that are allowed. Also `?replyTo=`.'),
})

const QUERY_NAMES: Readonly<Record<string, string>> = {
  id: 'batch-id',
  source: 'source',
  deadline: 'deadline',
  onDeadline: 'on-deadline',
  replaces: 'replaces',
  dryRun: 'dry-run',
  correlationId: 'correlation-id',
  replyTo: 'reply-to',
}
const uploadQuery = z.object(Object.fromEntries(Object.keys(QUERY_NAMES).map((name) => [name, z.string().optional()])))

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
    const { publicUrl, maxBytes, idleMs, signal, metrics } = this.#settings
    const given = { ...fromQuery(query), ...readParameters(uploadHeaders, request.headers) }
    const { 'idempotency-key': idempotencyKey, ...wire } = given
    const headers = this.#batchHeaders(wire, request.headers['traceparent'])
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

  /** By the rules of the wire: what stands here will stand in the headers of its records. */
  #batchHeaders(given: Record<string, string | undefined>, traceparent: unknown): BatchHeaders {
    const wire = new Map<string, string>()
    for (const [name, value] of Object.entries(given)) if (value !== undefined) wire.set(name, value)
    if (!wire.has('batch-id')) wire.set('batch-id', uuidv7())
    const envelope = readEnvelope(wire)
    if (envelope.kind === 'fault')
      throw new Problem(400, `${envelope.header}: ${JSON.stringify(envelope.value)} is not ${envelope.rule}`)
    if (envelope.kind !== 'whole') throw new Error('headers of a batch, and none of a chunk')
    const { batchId, replyTo } = envelope.batch
    if (batchId === undefined || !BATCH_ID.test(batchId)) throw new Error('a batch without an id')
    if (replyTo !== undefined && !this.#settings.replyTopics.includes(replyTo)) {
      throw new Problem(400, `reply-to: ${JSON.stringify(replyTo)} is not a topic that replies may go to`)
    }
    // A trace that cannot be read is started anew by whoever reads it; it refuses no batch.
    const traced = typeof traceparent === 'string' && TRACEPARENT.test(traceparent) ? { traceparent } : {}
    return { ...envelope.batch, ...traced, batchId }
  }
}

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/

function fromQuery(query: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(readParameters(uploadQuery, query)).map(([name, value]) => [QUERY_NAMES[name]!, value as string]),
  )
}

function formatOf(contentType = ''): BodyFormat {
  const type = contentType.split(';')[0]!.trim().toLowerCase()
  if (type === 'text/csv') return 'csv'
  if (type === 'application/x-ndjson') return 'ndjson'
  throw new Problem(415, 'The content is to be text/csv or application/x-ndjson.')
}

function encodingOf(contentEncoding = 'identity'): Encoding {
  const found = ENCODINGS.find((encoding) => encoding === contentEncoding.trim().toLowerCase())
  if (found === undefined) throw new Problem(415, `The content's encoding is to be one of ${ENCODINGS.join(', ')}.`)
  return found
}
