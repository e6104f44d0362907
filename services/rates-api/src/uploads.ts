import { RowTooLong, type BodyFormat } from '@rates/core/chunk-cutter'
import { type PortTable } from '@rates/core/port-table'
import { type BatchHeaders } from '@rates/core/wire'
import { failpoint } from '@rates/service/failpoints'
import { endEarly } from '@rates/service/ledger/end-early'
import { type ReplySettings } from '@rates/service/ledger/finish'
import { openBatch, type LedgerBatch } from '@rates/service/ledger/open'
import { type Logger } from '@rates/service/log'
import { withTransaction } from '@rates/service/postgres'
import { EmptyBatch, produceBatch, TooManyChunks } from '@rates/service/produce-batch'
import { type TopicNames } from '@rates/service/topics'
import { type Pool } from 'pg'
import { batchLinks } from './batch-view.ts'
import { ContentDigest, digestOf } from './content-digest.ts'
import { Problem } from './problem.ts'
import { kafkaAway, SendFailed, type SharedProducer } from './shared-producer.ts'
import { claimKey, findKey, releaseKey, settleKey, type KeyState } from './upload-keys.ts'

export interface Upload {
  headers: BatchHeaders
  format: BodyFormat
  /** Throws a Problem where it breaks. */
  body: AsyncIterable<Uint8Array>
  /** How much of it has come, up to 1, if its size is known. */
  progress?: (() => number | undefined) | undefined
  idempotencyKey: string | undefined
}

/** What became of an upload: the batch it is now, or was before. */
export interface Taken {
  id: string
  dryRun: boolean
  rows: number
  /** True if it was uploaded before and has its outcome. */
  ended: boolean
}

export interface UploadParts {
  pool: Pool
  producer: SharedProducer
  topics: TopicNames
  replies: ReplySettings
  ports: () => Promise<PortTable>
  publicUrl: string
  log: Logger
}

/**
 * Takes uploads: opens a batch, cuts the content into chunks as it comes and sends them to Kafka, where workers take
 * them as they take any other. An upload that breaks cancels its batch and gives its key back. If this process dies, the
 * batch fails as incomplete after the chunk timeout, and its key is free then.
 */
export class Uploads {
  readonly #parts: UploadParts

  constructor(parts: UploadParts) {
    this.#parts = parts
  }

  /** Resolves when Kafka has acknowledged all of it. @throws Problem */
  async take(upload: Upload): Promise<Taken> {
    const { pool, producer } = this.#parts
    const { idempotencyKey: key } = upload
    const before: KeyState = key === undefined ? { kind: 'free' } : await findKey(pool, key)
    if (before.kind === 'uploading') throw stillUploading()
    if (before.kind === 'used') return this.#repeat(upload, before)
    const kafka = await producer.acquire()
    const body = await peek(upload.body)
    const digest = key === undefined ? undefined : new ContentDigest(await this.#parts.ports(), upload.format)
    const batch = await this.#open(upload)
    failpoint('opened-upload')
    try {
      const { rows } = await produceBatch(kafka, this.#parts.topics, body, upload.format, upload.headers, {
        encoding: 'zstd',
        ...(upload.progress && { progress: upload.progress }),
        onBody: (chunk) => digest?.add(chunk.body),
        onChunk: () => failpoint('sent-chunk'),
      })
      failpoint('sent-upload')
      // From here on the batch is accepted, whatever happens: the ledger can tell the content later.
      if (digest)
        await this.#unlessItFails('settle an upload', batch, () => settleKey(pool, batch.no, digest.content()))
      return { id: batch.id, dryRun: batch.dryRun, rows, ended: false }
    } catch (error) {
      const problem = asProblem(error)
      const reason = problem?.message ?? 'A fault of the service.'
      await this.#unlessItFails('cancel a broken upload', batch, () => this.#cancel(batch, reason))
      throw problem ?? error
    }
  }

  /** The key was used: only the same content may come by it again, and nothing is sent. */
  async #repeat(upload: Upload, { batch, content }: KeyState & { kind: 'used' }): Promise<Taken> {
    const again = await digestOf(upload.body, upload.format, await this.#parts.ports()).catch((error: unknown) => {
      throw asProblem(error) ?? error
    })
    if (again.rows !== content.rows || Buffer.compare(again.digest, content.digest) !== 0) {
      const { self } = batchLinks(batch.id, batch.dryRun, this.#parts.publicUrl)
      const extensions = { batch: self }
      throw new Problem(409, 'This Idempotency-Key was used for an upload with other content.', { extensions })
    }
    return { ...batch, rows: content.rows }
  }

  /** The batch and the claim on its key, both or none. */
  #open({ headers, idempotencyKey }: Upload): Promise<LedgerBatch> {
    return withTransaction(this.#parts.pool, async (client) => {
      const { batch, opened } = await openBatch(client, headers, null, new Date())
      if (!opened) {
        const { self } = batchLinks(batch.id, batch.dryRun, this.#parts.publicUrl)
        const detail = `There is a batch ${JSON.stringify(batch.id)} already; a corrected file takes a new id.`
        throw new Problem(409, detail, { extensions: { batch: self } })
      }
      if (idempotencyKey !== undefined && !(await claimKey(client, idempotencyKey, batch.no))) throw stillUploading()
      return batch
    })
  }

  async #cancel(batch: LedgerBatch, message: string): Promise<void> {
    const error = { code: 'upload_broken', message } as const
    await endEarly(this.#parts.pool, batch.no, 'cancelled', error, this.#parts.replies)
    await releaseKey(this.#parts.pool, batch.no)
  }

  /** What the ledger can make up for by itself must not change the answer. */
  async #unlessItFails(what: string, batch: LedgerBatch, step: () => Promise<void>): Promise<void> {
    try {
      await step()
    } catch (error) {
      this.#parts.log.error({ err: error, batch_id: batch.id }, `could not ${what}`)
    }
  }
}

/** Waits for the first piece: without one there is no batch to open. */
async function peek(body: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const pieces = body[Symbol.asyncIterator]()
  const first = await pieces.next()
  if (first.done) throw new Problem(400, 'The content is empty.')
  return (async function* () {
    yield first.value
    for (let next = await pieces.next(); !next.done; next = await pieces.next()) yield next.value
  })()
}

const stillUploading = (): Problem =>
  new Problem(409, 'An upload with this Idempotency-Key is still going on.', { headers: { 'retry-after': '5' } })

/** What is the caller's to mend, or Kafka's; undefined: a fault of ours. */
function asProblem(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error
  if (error instanceof EmptyBatch) return new Problem(400, 'The content has no rows.')
  if (error instanceof RowTooLong) return new Problem(400, error.message, { extensions: { row: error.row } })
  if (error instanceof TooManyChunks) return new Problem(413, `The content has ${error.message}.`)
  if (error instanceof SendFailed) return kafkaAway()
  return undefined
}
