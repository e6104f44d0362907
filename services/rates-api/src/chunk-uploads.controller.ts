import { Controller, Inject, Param, Query, Req, Res } from '@nestjs/common'
import { MAX_CHUNK_WIRE_BYTES, MAX_CHUNKS } from '@rates/core/limits'
import { type FastifyReply, type FastifyRequest } from 'fastify'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { batchLinks } from './batch-view.ts'
import { dryRunQuery, idParams } from './batches.controller.ts'
import { type StoredChunk } from './chunk-ledger.ts'
import { ChunkUploads, type ChunkUpload } from './chunk-uploads.ts'
import { Problem, stopping } from './problem.ts'
import { readParameters, Route } from './route.ts'
import { chunksSchema, completedSchema, openedSchema, problemSchema, takenChunkSchema } from './schemas.ts'
import { discardRest, readBytes } from './upload-body.ts'
import {
  batchHeaders,
  batchQuery,
  encodingOf,
  formatOf,
  fromQuery,
  readBatchHeaders,
  readWire,
} from './upload-headers.ts'
import { type UploadMetrics } from './upload-metrics.ts'
import { waitParameter } from './wait-parameter.ts'

export interface ChunkSettings {
  publicUrl: string
  idleMs: number
  atOnce: number
  replyTopics: readonly string[]
  /** Aborted when the process cannot wait for anything any longer. */
  signal: AbortSignal
  metrics: UploadMetrics
}
export const CHUNK_SETTINGS = Symbol('chunk settings')

const text = (description: string): z.ZodOptional<z.ZodString> => z.string().optional().meta({ description })

const chunkParams = idParams.extend({
  n: z.string().meta({ description: `Its number in the order of the input, from 0 to ${MAX_CHUNKS - 1}.` }),
})
const chunkHeaders = z.object({
  chunks: text('How many chunks the batch has; on one of them at least, or `complete` adds a chunk that tells it.'),
  rows: text('Data rows of the chunk; checked if given.'),
  sha256: text('64 hexadecimal digits: of the content as sent, after compression; checked if given.'),
  progress: text('How much of the batch is sent with this chunk and those before it, as 0.25.'),
  'dry-run': batchHeaders.shape['dry-run'],
})
const chunkQuery = batchQuery.pick({ dryRun: true })

const completeQuery = dryRunQuery.extend({
  chunks: z
    .string('is missing')
    .regex(/^\d{1,6}$/, `is not a whole number from 1 to ${MAX_CHUNKS}`)
    .transform(Number)
    .refine((chunks) => chunks >= 1 && chunks <= MAX_CHUNKS, `is not a whole number from 1 to ${MAX_CHUNKS}`)
    .meta({ description: 'How many chunks were sent: numbers 0 to this less one.' }),
  wait: waitParameter.prefault('10s').meta({
    description: 'How long to wait for chunks that are on their way, as 500ms, 30s or 1m: 1m at most.',
  }),
})

const problem = (description: string): { description: string; schema: z.ZodType } => ({
  description,
  schema: problemSchema,
})
const RETRY_AFTER = { 'retry-after': 'Seconds until it is worth to try again.' }
const unknownBatch = { ...problem('`code` is `not_seen_yet`: nobody has opened it.'), headers: RETRY_AFTER }

/** A batch that is uploaded chunk by chunk, and goes on where it was broken off. */
@Controller()
export class ChunkUploadsController {
  readonly #uploads: ChunkUploads
  readonly #settings: ChunkSettings
  #going = 0

  constructor(uploads: ChunkUploads, @Inject(CHUNK_SETTINGS) settings: ChunkSettings) {
    this.#uploads = uploads
    this.#settings = settings
  }

  @Route({
    method: 'PUT',
    path: '/batches/:id',
    summary: 'Open a batch for a resumable upload',
    description: 'It takes no content: chunks follow, one request each. To repeat it changes nothing.',
    params: idParams,
    query: batchQuery,
    headers: batchHeaders,
    answers: {
      200: { description: 'It was open before, with the same headers.', schema: openedSchema },
      201: { description: 'It is open.', schema: openedSchema, headers: { location: 'The batch.' } },
      400: problem('A parameter is wrong, or there is content.'),
      409: problem(
        'The id is taken. `code`: `conflict` (by a batch with another value of `header`), `ended` (by one that has its ' +
          'outcome, or by this one). `state`: its state.',
      ),
    },
  })
  async open(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('id') id: string,
    @Query() query: unknown,
  ): Promise<void> {
    const { publicUrl, replyTopics } = this.#settings
    const { 'content-length': length = '0', 'transfer-encoding': coding } = request.headers
    if (length !== '0' || coding !== undefined) {
      discardRest(request.raw)
      const detail = `This opens a batch and takes no content: POST /batches?id=${id} takes it, or PUT /batches/${id}/chunks/0.`
      throw new Problem(400, detail)
    }
    const given = { ...fromQuery(query), ...readParameters(batchHeaders, request.headers), 'batch-id': id }
    const headers = readBatchHeaders(given, request.headers['traceparent'], replyTopics)
    const dryRun = headers.dryRun === true
    const { opened } = await this.#uploads.open(headers)
    const links = batchLinks(id, dryRun, publicUrl)
    if (opened) void reply.header('location', links.self)
    await reply.status(opened ? 201 : 200).send({ id, dryRun, links })
  }

  @Route({
    method: 'PUT',
    path: '/batches/:id/chunks/:n',
    summary: 'Upload a chunk of a batch',
    description:
      'In any order, in parallel, by any instance. The content is a chunk as on Kafka (whole rows, compressed or not, ' +
      `up to ${MAX_CHUNK_WIRE_BYTES} bytes as sent). Answered means that it is never lost; to send it again is harmless.`,
    params: chunkParams,
    query: chunkQuery,
    headers: chunkHeaders,
    body: {
      description: 'Some of the prices.',
      contentTypes: {
        'text/csv': 'CNSGH,NLRTM,2021-01-01,1154\n',
        'application/x-ndjson': '{"orig_code":"CNSGH","dest_code":"NLRTM","day":"2021-01-01","price":1154}\n',
      },
    },
    answers: {
      200: { description: 'It came before, and is stored.', schema: takenChunkSchema },
      202: { description: 'Kafka has it.', schema: takenChunkSchema },
      400: problem(
        'A parameter is wrong, or the content is empty, broken off, not what its encoding says, or has too many rows. ' +
          '`code` is `damaged` where it has another sha256 or number of rows than was said.',
      ),
      404: unknownBatch,
      408: problem('Nothing came for too long.'),
      409: problem(
        '`code`: `other_content` (the chunk is there, with another `sha256`), `other_total` (another number of chunks is ' +
          'known), `ended` (`state` says how).',
      ),
      413: problem('Too much content.'),
      415: problem('Not a type or an encoding that is taken here.'),
    },
  })
  async put(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param() params: { id: string; n: string },
    @Query() query: unknown,
  ): Promise<void> {
    const { signal, atOnce, metrics, publicUrl } = this.#settings
    try {
      if (signal.aborted) throw stopping()
      if (this.#going >= atOnce) {
        throw new Problem(503, `${atOnce} chunks are going on already.`, { headers: { 'retry-after': '1' } })
      }
      this.#going++
      metrics.chunks.going.inc()
      try {
        const upload = await this.#read(request, params, query)
        const { stored, sha256, rows = null } = await this.#uploads.take(upload)
        metrics.chunks.answered(stored)
        const { id, dryRun, chunk } = upload
        const links = batchLinks(id, dryRun, publicUrl)
        await reply.status(stored ? 200 : 202).send({ id, dryRun, chunk, sha256, rows, links })
      } finally {
        this.#going--
        metrics.chunks.going.dec()
      }
    } catch (error) {
      metrics.chunks.threw(error)
      discardRest(request.raw)
      throw error
    }
  }

  async #read(request: FastifyRequest, { id, n }: { id: string; n: string }, query: unknown): Promise<ChunkUpload> {
    const { idleMs, signal, metrics } = this.#settings
    const given = { ...fromQuery(query), ...readParameters(chunkHeaders, request.headers) }
    const format = formatOf(request.headers['content-type'])
    const encoding = encodingOf(request.headers['content-encoding'])
    const { chunks, rows, sha256, progress, 'dry-run': dryRun } = given as Record<string, string | undefined>
    const type = format === 'csv' ? 'text/csv' : 'application/x-ndjson'
    const said = { chunk: n, chunks, rows, sha256, progress, 'dry-run': dryRun }
    const envelope = readWire({ 'batch-id': id, ...said, 'content-type': type })
    if (envelope.kind !== 'chunk') throw new Error('headers of a chunk')
    const limits = { maxBytes: MAX_CHUNK_WIRE_BYTES, idleMs }
    const body = await readBytes(request.raw, limits, signal, metrics.received())
    const { chunk, chunks: total } = envelope
    return { ...envelope, id, dryRun: envelope.batch.dryRun === true, chunk, total, body, format, encoding }
  }

  @Route({
    method: 'GET',
    path: '/batches/:id/chunks',
    summary: 'The stored chunks of a batch',
    description: 'In their order. One that was acknowledged may be not stored yet.',
    params: idParams,
    query: dryRunQuery,
    answers: { 200: { description: 'The chunks.', schema: chunksSchema }, 404: unknownBatch },
  })
  async list(@Param('id') id: string, @Query() query: unknown, @Res() reply: FastifyReply): Promise<void> {
    const { dryRun } = readParameters(dryRunQuery, query)
    const { total, chunks } = await this.#uploads.list(id, dryRun === 'true')
    const json = Readable.from(asJson(total, chunks))
    await reply.header('content-type', 'application/json; charset=utf-8').send(json)
  }

  @Route({
    method: 'POST',
    path: '/batches/:id/complete',
    summary: 'Say that all chunks of a batch were sent',
    description: 'It waits until all are stored. To repeat it changes nothing.',
    params: idParams,
    query: completeQuery,
    answers: {
      200: { description: 'All are stored, and the batch has its outcome.', schema: completedSchema },
      202: {
        description: 'All are stored.',
        schema: completedSchema,
        headers: { location: 'The batch.', 'retry-after': 'Seconds until it is worth to ask for it.' },
      },
      400: problem('A parameter is wrong.'),
      404: unknownBatch,
      409: {
        ...problem(
          '`code`: `chunks_missing` (`missing`: the first 100 that are not stored; those that were acknowledged will be), ' +
            '`other_total` (the batch has another number of chunks), `ended` (before all came; `state` says how).',
        ),
        headers: RETRY_AFTER,
      },
    },
  })
  async complete(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('id') id: string,
    @Query() query: unknown,
  ): Promise<void> {
    const { dryRun: dry, chunks: said, wait: ms } = readParameters(completeQuery, query)
    const dryRun = dry === 'true'
    const { chunks, ended } = await this.#untilLeft(request, (signal) =>
      this.#uploads.complete(id, dryRun, said, { ms, signal }),
    )
    const links = batchLinks(id, dryRun, this.#settings.publicUrl)
    if (!ended) void reply.headers({ location: links.self, 'retry-after': '1' })
    await reply.status(ended ? 200 : 202).send({ id, dryRun, chunks, links })
  }

  /** Work that waits: it is given up when its caller leaves, or the process cannot wait any longer. */
  async #untilLeft<T>({ raw }: FastifyRequest, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this.#settings
    const over = new AbortController()
    const stop = (): void => over.abort(stopping())
    const leave = (): void => over.abort(new Problem(400, 'The caller left.'))
    signal.addEventListener('abort', stop)
    raw.socket.once('close', leave)
    if (signal.aborted) stop()
    try {
      return await work(over.signal)
    } finally {
      signal.removeEventListener('abort', stop)
      raw.socket.off('close', leave)
    }
  }
}

async function* asJson(total: number | null, chunks: AsyncIterable<StoredChunk[]>): AsyncGenerator<string> {
  let before = `{"total":${total},"chunks":[`
  for await (const some of chunks) {
    yield before + some.map((chunk) => JSON.stringify(chunk)).join(',')
    before = ','
  }
  yield before === ',' ? ']}' : `${before}]}`
}
