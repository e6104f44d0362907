import { type Batch } from '@rates/core/batch'
import { type BatchHeaders } from '@rates/core/wire'
import { type CutChunk } from '@rates/service/cut-batch'
import { ApiFailure, callApi, type ApiCall } from './api.ts'

/** A chunk takes long where the line is thin and others go beside it. */
const CHUNK_MILLISECONDS = 120_000
/** That long the API may wait for what it asks for; then it answers. */
const WAIT_SECONDS = 10

/** The batch's headers, by the names of the query: what they hold need not be ASCII. */
export function batchQuery({ source, deadline, onDeadline, replaces, dryRun, ...batch }: BatchHeaders): string {
  const { correlationId, replyTo } = batch
  const named = { source, deadline, onDeadline, replaces, correlationId, replyTo, dryRun: dryRun ? 'true' : undefined }
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(named)) if (value !== undefined) query.set(name, value)
  return query.size === 0 ? '' : `?${query.toString()}`
}

interface StoredChunks {
  total: number | null
  chunks: { chunk: number; sha256: string }[]
}

/** The requests of a resumable upload; docs/http.md has the whole of it. All may be repeated. */
export class UploadApi {
  readonly url: string
  /** Of the batch, without the query. */
  readonly path: string
  readonly dryRun: boolean
  private readonly batch: BatchHeaders

  constructor(url: string, batch: BatchHeaders) {
    this.url = url
    this.batch = batch
    this.path = `/batches/${encodeURIComponent(batch.batchId)}`
    this.dryRun = batch.dryRun ?? false
  }

  /** `there`: it was opened before, with the same headers. @throws ApiFailure 409 for other headers */
  async open(signal: AbortSignal): Promise<'opened' | 'there' | 'ended'> {
    try {
      const call = { method: 'PUT', signal } as const
      const { status } = await callApi(this.url, this.path + batchQuery(this.batch), call)
      return status === 201 ? 'opened' : 'there'
    } catch (error) {
      if (codeOf(error) === 'ended') return 'ended'
      throw error
    }
  }

  /** The sha256 of those chunks that are stored, by their numbers, and how many there will be, if that is known. */
  async stored(signal: AbortSignal): Promise<{ total: number | null; chunks: Map<number, string> }> {
    const { document } = await this.call<StoredChunks>('/chunks', { signal })
    const chunks = new Map(document.chunks.map(({ chunk, sha256 }) => [chunk, sha256]))
    return { total: document.total, chunks }
  }

  /** `there`: it is stored already. @throws ApiFailure 409 for other content */
  async put({ headers, body }: CutChunk, signal: AbortSignal): Promise<'sent' | 'there' | 'ended'> {
    const { chunk, chunks, rows, sha256, progress, contentType, contentEncoding } = headers
    try {
      const { status } = await this.call(`/chunks/${chunk}`, {
        method: 'PUT',
        body: body as Uint8Array<ArrayBuffer>,
        headers: {
          'content-type': contentType,
          ...(contentEncoding !== 'identity' && { 'content-encoding': contentEncoding }),
          rows: String(rows),
          sha256,
          ...(chunks !== undefined && { chunks: String(chunks) }),
          ...(progress !== undefined && { progress: progress.toFixed(6) }),
        },
        signal,
        timeoutMs: CHUNK_MILLISECONDS,
      })
      return status === 200 ? 'there' : 'sent'
    } catch (error) {
      if (codeOf(error) === 'ended') return 'ended'
      throw error
    }
  }

  /** False: some of what was acknowledged is not stored yet. */
  async complete(chunks: number, signal: AbortSignal): Promise<boolean> {
    try {
      await this.call('/complete', { method: 'POST', signal }, { chunks: String(chunks), wait: `${WAIT_SECONDS}s` })
      return true
    } catch (error) {
      const code = codeOf(error)
      if (code === 'chunks_missing') return false
      if (code === 'ended') return true // its outcome is what is asked for next
      throw error
    }
  }

  /** @returns the batch, however it ended; undefined: there is none */
  async cancel(signal: AbortSignal): Promise<Batch | undefined> {
    try {
      return (await this.call<Batch>('/cancel', { method: 'POST', signal })).document
    } catch (error) {
      if (codeOf(error) === 'ended') return (await this.call<Batch>('', { signal })).document
      if (error instanceof ApiFailure && error.status === 404) return undefined
      throw error
    }
  }

  /** A request about the batch, or its dry run. */
  call<T>(what: string, call: ApiCall, query: Record<string, string> = {}): Promise<{ status: number; document: T }> {
    const all = new URLSearchParams({ ...(this.dryRun && { dryRun: 'true' }), ...query }).toString()
    return callApi<T>(this.url, `${this.path}${what}${all === '' ? '' : `?${all}`}`, call)
  }
}

/** Of the API's document: what a program can tell from a refusal. */
export const codeOf = (error: unknown): string | undefined =>
  error instanceof ApiFailure ? error.problem?.code : undefined
