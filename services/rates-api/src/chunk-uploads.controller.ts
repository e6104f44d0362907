import { Controller, Inject, Param, Query, Req, Res } from '@nestjs/common'
import { MAX_CHUNK_WIRE_BYTES } from '@rates/core/limits'
import { type FastifyReply, type FastifyRequest } from 'fastify'
import { Readable } from 'node:stream'
import { batchLinks } from './batch-view.ts'
import { dryRunQuery } from './batches.controller.ts'
import { type StoredChunk } from './chunk-ledger.ts'
import { chunkHeaders, COMPLETE, completeQuery, LIST, OPEN, PUT_CHUNK } from './chunk-routes.ts'
import { ChunkUploads, type ChunkUpload } from './chunk-uploads.ts'
import { beginsToWait } from './http.ts'
import { Problem, stopping } from './problem.ts'
import { readParameters, Route } from './route.ts'
import { discardRest, readBytes } from './upload-body.ts'
import { batchHeaders, encodingOf, formatOf, fromQuery, readBatchHeaders, readWire } from './upload-headers.ts'
import { type UploadMetrics } from './upload-metrics.ts'
import { type Watchers } from './watchers.ts'

export interface ChunkSettings {
  publicUrl: string
  idleMs: number
  atOnce: number
  replyTopics: readonly string[]
  /** Aborted when the process cannot wait for anything any longer. */
  signal: AbortSignal
  metrics: UploadMetrics
  watchers: Watchers
}

/** A chunk is small: it may take so many times as long as its sender may be silent, and then leaves its place. */
const WHOLE_PER_IDLE = 10

export const CHUNK_SETTINGS = Symbol('chunk settings')

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

  @Route(OPEN)
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

  @Route(PUT_CHUNK)
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
        const { stored, sha256, rows } = await this.#uploads.take(upload)
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
    const format = formatOf(request.headers['content-type'])
    const encoding = encodingOf(request.headers['content-encoding'])
    const envelope = readWire({
      ...fromQuery(query),
      ...readParameters(chunkHeaders, request.headers),
      'batch-id': id,
      chunk: n,
      'content-type': format === 'csv' ? 'text/csv' : 'application/x-ndjson',
    })
    if (envelope.kind !== 'chunk') throw new Error('headers of a chunk')
    const { batch, chunk, chunks: total, rows, sha256, progress } = envelope
    const limits = { maxBytes: MAX_CHUNK_WIRE_BYTES, idleMs, wholeMs: idleMs * WHOLE_PER_IDLE }
    const body = await readBytes(request.raw, limits, signal, metrics.received())
    return { id, dryRun: batch.dryRun === true, chunk, total, rows, sha256, progress, format, encoding, body }
  }

  @Route(LIST)
  async list(@Param('id') id: string, @Query() query: unknown, @Res() reply: FastifyReply): Promise<void> {
    const { dryRun } = readParameters(dryRunQuery, query)
    const { total, chunks } = await this.#uploads.list(id, dryRun === 'true')
    const json = Readable.from(asJson(total, chunks))
    await reply.header('content-type', 'application/json; charset=utf-8').send(json)
  }

  @Route(COMPLETE)
  async complete(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('id') id: string,
    @Query() query: unknown,
  ): Promise<void> {
    const { dryRun: dry, chunks: said, wait: ms } = readParameters(completeQuery, query)
    const dryRun = dry === 'true'
    const { chunks, ended } = await this.#untilLeft(request, (signal, enter) => {
      const begins = (): void => {
        enter()
        beginsToWait(reply)
      }
      return this.#uploads.complete(id, dryRun, said, { ms, signal, begins })
    })
    const links = batchLinks(id, dryRun, this.#settings.publicUrl)
    if (!ended) void reply.headers({ location: links.self, 'retry-after': '1' })
    await reply.status(ended ? 200 : 202).send({ id, dryRun, chunks, links })
  }

  /**
   * Work that may wait, as one of the watchers once it has called `enter`: it is given up when its caller leaves, or the
   * process cannot wait any longer, which then sends its caller to another one. @throws Problem 503
   */
  async #untilLeft<T>(
    { raw }: FastifyRequest,
    work: (signal: AbortSignal, enter: () => void) => Promise<T>,
  ): Promise<T> {
    const { signal, watchers } = this.#settings
    const over = new AbortController()
    const stop = (): void => over.abort(stopping())
    const leave = (): void => over.abort(new Problem(400, 'The caller left.'))
    let exit: (() => void) | undefined
    signal.addEventListener('abort', stop)
    raw.socket.once('close', leave)
    if (signal.aborted) stop()
    try {
      return await work(over.signal, () => (exit = watchers.enter('wait', stop)))
    } finally {
      exit?.()
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
