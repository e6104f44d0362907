import { setTimeout as sleep } from 'node:timers/promises'
import { type Batch, type Reply, type RowError } from '@rates/core/batch'
import { type BatchHeaders } from '@rates/core/wire'
import { cutBatch, type CutChunk } from '@rates/service/cut-batch'
import { ApiFailure, readApi, unreachable } from './api.ts'
import { passes, patiently, type Patience } from './back-off.ts'
import { type BatchInput } from './batch-input.ts'
import { conflictReply, replyOfBatch } from './batch-reply.ts'
import { EXIT, type CommandFailure } from './exit.ts'
import { followBatch, hasEnded } from './follow-batch.ts'
import { describeHidden } from './outcome.ts'
import { type Progress } from './progress.ts'
import { BatchRefused, type Arrived, type Sender, type SendOptions, type Sent } from './sender.ts'
import { Slots } from './slots.ts'
import { shellWord } from './text.ts'
import { codeOf, UploadApi } from './upload-api.ts'

/** Each holds a chunk in memory, and as many uploads are what an API takes at once. */
const CHUNKS_AT_ONCE = 4
/** A person who wants it ended does not wait longer. */
const CANCEL_SECONDS = 10

export interface HttpOptions {
  url: string
  /** The deadline counts from now: one that an earlier sending gave the batch stays. */
  relativeDeadline: boolean
  /** For which a request is tried again. */
  seconds: number
  /** Tells the person something, where not standard error does. */
  say?: (text: string) => void
}

/** Sends by the API's resumable upload: what is there already is not sent again. */
export class HttpSender implements Sender {
  batch: BatchHeaders
  attempted = false
  private readonly options: HttpOptions
  private api: UploadApi
  /** The chunks that were there when it began. */
  private stored: ReadonlyMap<number, string> = new Map()
  /** The sha256 of those that this run sends. */
  private readonly sums = new Map<number, string>()
  private ended: 'no' | 'meanwhile' | 'before' = 'no'
  /** How many chunks there are, as the platform has been told. */
  private total: number | null = null
  private completed = false
  private onTrouble: Patience['onTrouble'] = () => undefined

  constructor(options: HttpOptions, batch: BatchHeaders) {
    this.options = options
    this.batch = batch
    this.api = new UploadApi(options.url, batch)
  }

  async reach(signal: AbortSignal): Promise<void> {
    const { url, relativeDeadline } = this.options
    const { path, dryRun } = this.api
    const look = (): Promise<Batch | undefined> => readApi(url, `${path}${dryRun ? '?dryRun=true' : ''}`, signal)
    const found = await look().catch((error: unknown) => {
      // What does not answer at all is most likely a wrong address.
      if (!passes(error) || error.status === undefined) throw error
      const { say = console.error } = this.options
      say(`${error.message.replace(/\.$/, '')}; trying again`)
      return this.patiently(look, signal)
    })
    if (!relativeDeadline || !found?.deadline) return
    this.batch = { ...this.batch, deadline: found.deadline }
    this.api = new UploadApi(url, this.batch)
  }

  async connect(): Promise<void> {
    // There is a connection for each request.
  }

  async send(input: BatchInput, options: SendOptions): Promise<Sent> {
    const { encoding = 'zstd', onSent } = options
    const stop = new AbortController()
    const signal = AbortSignal.any([options.signal, stop.signal])
    this.onTrouble = options.onTrouble
    const sent = { chunks: 0, rows: 0, bytes: 0, there: 0 }
    const count = ({ headers, body }: CutChunk, there: boolean): void => {
      sent.chunks++
      sent.rows += headers.rows
      sent.bytes += body.length
      if (there) sent.there++
      onSent(sent)
    }
    const slots = new Slots(CHUNKS_AT_ONCE)
    const progress = (): number | undefined => (input.size ? input.bytesRead() / input.size : undefined)
    const chunks = cutBatch(input.pieces, input.format, this.batch, { encoding, progress, signal })
    try {
      for (let opened = false; ; opened = true) {
        const next = await slots.meanwhile(chunks.next())
        if (next.done) break
        if (!opened) await this.open(signal)
        // What ended without this sending is only compared with it.
        if (this.isThere(next.value) || this.ended === 'before') count(next.value, true)
        else await slots.begin(() => this.put(next.value, signal).then(() => count(next.value, false)))
      }
      await slots.all()
      await this.checkTotal(sent.chunks, signal)
    } catch (error) {
      stop.abort()
      await slots.ended()
      if (!(error instanceof EndedMeanwhile)) throw error
      this.ended = 'meanwhile'
    }
    return { ...sent, ...(this.ended !== 'no' && { ended: true }) }
  }

  async outcome({ chunks, rows }: Sent, progress: Progress, signal: AbortSignal): Promise<Arrived> {
    const { url } = this.options
    this.onTrouble = () => undefined // its line of progress is another's now
    const over = new AbortController()
    const until = AbortSignal.any([over.signal, signal])
    const { path, dryRun } = this.api
    // It ends when the outcome is there at the latest; what it throws counts before.
    const completing = this.ended === 'no' && !this.completed ? this.complete(chunks, until) : Promise.resolve()
    const fault = completing.then(() => new Promise<never>(() => undefined))
    try {
      const known = this.ended === 'meanwhile' ? undefined : rows
      const following = followBatch({ url, path: path + (dryRun ? '?dryRun=true' : '') }, known, progress, until)
      const batch = await Promise.race([following, fault])
      signal.throwIfAborted()
      const at = performance.now()
      await this.compare(batch!, signal)
      const reply = await this.replyOf(batch!, signal)
      return { reply, at, repeated: this.ended === 'before', hidden: describeHidden(batch!) }
    } finally {
      over.abort()
      fault.catch(() => undefined)
    }
  }

  async cancel(): Promise<Reply | undefined> {
    const limit = AbortSignal.timeout(CANCEL_SECONDS * 1000)
    this.onTrouble = () => undefined
    try {
      const batch = await this.patiently(() => this.api.cancel(limit), limit, CANCEL_SECONDS)
      if (!batch) this.attempted = false // the request to open it never came
      return batch && hasEnded(batch) ? await this.replyOf(batch, limit) : undefined
    } catch (error) {
      throw limit.aborted ? unreachable(this.options.url, limit.reason) : error
    }
  }

  explain(): CommandFailure | undefined {
    return undefined // what the API says is in plain words
  }

  async close(): Promise<void> {
    // Nothing is held.
  }

  /** Before the first chunk: without one there is no batch. */
  private async open(signal: AbortSignal): Promise<void> {
    this.attempted = true
    try {
      const opened = await this.patiently(() => this.api.open(signal), signal)
      if (opened === 'opened') return
      if (opened === 'ended') this.ended = 'before'
      const there = await this.patiently(() => this.api.stored(signal), signal)
      this.stored = there.chunks
      this.total = there.total
    } catch (error) {
      // Then nothing of ours is there.
      if (error instanceof ApiFailure && error.code !== EXIT.unreachable) this.attempted = false
      throw codeOf(error) === 'conflict' ? this.refused((error as ApiFailure).message) : error
    }
  }

  private isThere({ headers: { chunk, sha256 } }: CutChunk): boolean {
    const stored = this.stored.get(chunk)
    if (stored === undefined) return false
    if (stored === sha256) return true
    throw this.refused(otherContent(chunk, sha256, stored))
  }

  /**
   * A chunk that another run had acknowledged, but nobody had stored yet, may have come before ours of its number: then
   * the outcome is that of other rows. @throws BatchRefused
   */
  private async compare({ id, state }: Batch, signal: AbortSignal): Promise<void> {
    if (this.ended === 'before' || state === 'cancelled' || this.sums.size === 0) return
    const { chunks } = await this.patiently(() => this.api.stored(signal), signal)
    for (const [chunk, sha256] of this.sums) {
      const stored = chunks.get(chunk)
      // Of a batch that failed not all need to be there.
      if (stored === sha256 || (stored === undefined && state === 'failed')) continue
      const visible = state === 'succeeded' && !this.api.dryRun
      const undo = visible ? `, and is visible with other rows than these: rates revert ${shellWord(id)}` : ''
      throw this.refused(otherContent(chunk, sha256, stored) + undo)
    }
  }

  private async put(chunk: CutChunk, signal: AbortSignal): Promise<void> {
    const { chunk: number, sha256, chunks } = chunk.headers
    this.sums.set(number, sha256)
    try {
      const answer = await this.patiently(() => this.api.put(chunk, signal), signal)
      if (answer === 'ended') throw new EndedMeanwhile()
      this.total = chunks ?? this.total
    } catch (error) {
      throw this.conflictOr(error)
    }
  }

  /** The chunk that tells it was there before, or the batch has another one: it has to be known, or told. */
  private async checkTotal(chunks: number, signal: AbortSignal): Promise<void> {
    if (this.ended === 'no' && this.total !== chunks) await this.complete(chunks, signal)
    if (this.ended !== 'before') return
    const { document: batch } = await this.patiently(() => this.api.call<Batch>('', { signal }), signal)
    const { expected } = batch.chunks
    if (expected !== null && expected !== chunks) {
      throw this.refused(`it has ${chunks} chunks; the batch has ${expected}`)
    }
  }

  /** What was acknowledged may not be stored yet: asked again until it is. */
  private async complete(chunks: number, signal: AbortSignal): Promise<void> {
    const ask = (): Promise<boolean> => this.patiently(() => this.api.complete(chunks, signal), signal)
    const conflict = (error: unknown): never => {
      throw this.conflictOr(error)
    }
    while (!(await ask().catch(conflict))) {
      await sleep(1000, undefined, { signal }).catch(() => signal.throwIfAborted())
    }
    this.completed = true
  }

  private async replyOf(batch: Batch, signal: AbortSignal): Promise<Reply> {
    if (batch.rows.rejected === 0) return replyOfBatch(batch, [])
    const read = (): Promise<{ document: { errors: RowError[] } }> => this.api.call('/errors', { signal })
    return replyOfBatch(batch, (await this.patiently(read, signal)).document.errors)
  }

  private patiently<T>(work: () => Promise<T>, signal: AbortSignal, seconds = this.options.seconds): Promise<T> {
    return patiently(work, { seconds, onTrouble: (reason) => this.onTrouble(reason), signal })
  }

  private conflictOr(error: unknown): unknown {
    const code = codeOf(error)
    return code === 'other_content' || code === 'other_total' ? this.refused((error as ApiFailure).message) : error
  }

  private refused(message: string): BatchRefused {
    const { batchId, dryRun = false } = this.batch
    return new BatchRefused(conflictReply(batchId, dryRun, message.replace(/\.$/, ''), new Date()))
  }
}

const otherContent = (chunk: number, sha256: string, stored: string | undefined): string =>
  `chunk ${chunk} has sha256 ${sha256}; the batch has ${stored === undefined ? 'no such chunk' : `one with ${stored}`}`

/** Somebody cancelled the batch, or its deadline passed: no more of it is wanted. */
class EndedMeanwhile extends Error {}
