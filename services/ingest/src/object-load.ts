import { type BatchErrorCode } from '@rates/core/batch'
import { writeChunkHeaders, type BatchHeaders } from '@rates/core/wire'
import { cutBatch } from '@rates/service/cut-batch'
import { failpoint } from '@rates/service/failpoints'
import { type Producer } from '@rates/service/kafka'
import { Stopped } from '@rates/service/kafka-consumer'
import { type ReplySettings } from '@rates/service/ledger/finish'
import { type LedgerBatch } from '@rates/service/ledger/open'
import { type Logger } from '@rates/service/log'
import { addressOf, type ObjectStore, type ObjectVersion } from '@rates/service/object-store'
import { laneOf } from '@rates/service/produce-batch'
import { collectYoung } from '@rates/service/memory'
import { unlessAborted } from '@rates/service/s3-faults'
import { type TopicNames } from '@rates/service/topics'
import { type Waiting } from '@rates/service/watched-pool'
import { MAX_ATTEMPTS } from './attempts.ts'
import { batchEnded } from './batch-ended.ts'
import { type IngestMetrics } from './metrics.ts'
import { bindLoad } from './object-bind.ts'
import { howToRead, objectContent, OtherObject } from './object-content.ts'
import { BatchOver, Hold, LeaseLost } from './object-hold.ts'
import { type Leaving, type ObjectLoad, type ObjectLoads } from './object-loads.ts'
import { type ObjectMetrics } from './object-metrics.ts'
import { judge, pauseSeconds } from './object-patience.ts'
import { tagLoading } from './object-tags.ts'
import { untilDone, type Retry } from './retry.ts'

export interface LoadDeps {
  loads: ObjectLoads
  store: ObjectStore
  buckets: readonly string[]
  /** How long the store may refuse our credentials. */
  refusedSeconds: number
  producer: Producer
  topics: Pick<TopicNames, 'batches' | 'bulk'>
  replies: ReplySettings
  metrics: ObjectMetrics
  ingest: Pick<IngestMetrics, 'ended' | 'retries'>
  log: Logger
}

/** The load was left off so that another worker takes it at once: this one ends. */
export class Drained extends Error {
  constructor() {
    super('this worker stops')
    this.name = 'Drained'
  }
}

/**
 * Takes one object from its lease to all of its chunks being acknowledged by Kafka, or leaves it off: for later where a
 * fault may pass, for good by failing its batch. A load that comes again, after whatever happened to the one before,
 * cuts the same bytes into the same chunks: what of them is stored already is a repetition, and what Kafka is known to
 * have is not sent again. The chunk that tells the total is the last one, and is there only when all of the object was
 * read and is what it was said to be: of anything else nothing becomes visible.
 */
export class LoadRun {
  private readonly deps: LoadDeps
  private readonly load: ObjectLoad
  private readonly holder: string
  private readonly hold: Hold
  /** Until the load is left off. */
  private readonly retry: Retry
  /** Until the worker ends. */
  private readonly retryLeaving: Retry
  private readonly log: Logger
  private readonly address: string
  /** It was there when it was looked at this time. */
  private wasThere = false

  constructor(deps: LoadDeps, load: ObjectLoad, holder: string, ending: AbortSignal) {
    this.deps = deps
    this.load = load
    this.holder = holder
    this.address = addressOf(load)
    this.log = deps.log.child({ object: this.address, load: String(load.no) })
    this.hold = new Hold(deps.loads, load.no, holder, ending, this.log)
    const retryUntil =
      (signal: AbortSignal): Retry =>
      (what, work) =>
        untilDone(`an object: ${what}`, signal, this.log, (reason) => this.retried(reason), direct, work)
    this.retry = retryUntil(this.hold.signal)
    this.retryLeaving = retryUntil(ending)
  }

  private retried(reason: string): void {
    this.deps.ingest.retries.inc({ stage: 'load', reason })
  }

  /** Never throws: what it leaves is noted in the row, or runs out with the lease. */
  async run(): Promise<void> {
    try {
      failpoint('took-object')
      if (this.load.attempts > MAX_ATTEMPTS) await this.quarantine()
      else if (!this.deps.buckets.includes(this.load.bucket)) await this.refuseBucket()
      else await this.take()
    } catch (error) {
      await this.leaveOff(error)
    } finally {
      await this.hold.release()
    }
  }

  private async take(): Promise<void> {
    const { load, deps } = this
    const begun = performance.now()
    const found = await this.look()
    const bound = await this.bind(found)
    if (!bound) return
    await this.retry('pin', () => deps.loads.pin(load.no, this.holder, found))
    this.log.info({ batch_id: bound.batch.id, bytes: found.size, attempt: load.attempts }, 'loading an object')
    const tagged = bound.batch.dryRun ? undefined : tagLoading(deps.store, load, found, bound.batch.id, this.log)
    await this.send(found, bound.headers)
    failpoint('sent-object')
    // Its outcome is tagged later, and must not be overtaken.
    await unlessAborted(Promise.resolve(tagged), this.hold.signal)
    const { progress } = this.hold
    await this.hold.release()
    const isSent = await this.retry('sent', () => deps.loads.sent(load.no, this.holder, progress))
    const seconds = (performance.now() - begun) / 1000
    if (isSent) deps.metrics.seconds.observe(seconds)
    this.log.info(
      { batch_id: bound.batch.id, ...progress, seconds },
      isSent ? 'object sent' : 'object sent, by others too',
    )
  }

  /** @throws OtherObject, and the store's faults */
  private async look(): Promise<ObjectVersion> {
    const { bucket, key, versionId, etag } = this.load
    const found = await unlessAborted(this.deps.store.head({ bucket, key }, versionId ?? undefined), this.hold.signal)
    if (etag !== null && found.etag !== etag) throw new OtherObject(etag, found.etag)
    this.wasThere = true
    return found
  }

  /** The batch, if there is something to do for it. */
  private async bind(
    found: ObjectVersion | undefined,
  ): Promise<{ batch: LedgerBatch; headers: BatchHeaders } | undefined> {
    const { loads, replies } = this.deps
    const bound = await this.retry('bind', () => bindLoad(loads.pool, this.load.no, found, { replies }))
    if (bound.kind === 'failed') {
      this.failed(bound.batch, bound.error.code)
    }
    if (bound.kind !== 'load') return undefined
    return bound.batch.state === 'open' ? bound : undefined
  }

  private async send(found: ObjectVersion, headers: BatchHeaders): Promise<void> {
    const { load, deps } = this
    const { signal, progress } = this.hold
    const { format, encoding } = howToRead(load, found, load.key)
    const version = { ...found, ...(load.versionId !== null && { versionId: load.versionId }) }
    const content = objectContent(deps.store, load, version, {
      encoding,
      sha256: load.sha256,
      signal,
      onBytes: (count) => {
        progress.bytes += count
        deps.metrics.bytes.inc(count)
      },
    })
    // As they are: compressed by another version of zstd, as in a roll-out, the same chunk would have another digest.
    const chunks = cutBatch(content, format, headers, { signal, progress: () => progress.bytes / found.size })
    for await (const { headers: chunk, body } of chunks) {
      if (chunk.chunk >= load.chunksSent) {
        collectYoung()
        const record = { topic: laneOf(chunk, deps.topics), headers: writeChunkHeaders(chunk), value: body }
        await this.retry('send', () => unlessAborted(deps.producer.send([record]), signal))
        failpoint('sent-object-chunk')
      }
      progress.chunks++
      progress.rows += chunk.rows
    }
  }

  private async leaveOff(error: unknown): Promise<void> {
    const { signal } = this.hold
    const reason: unknown = signal.aborted ? signal.reason : error
    try {
      await this.judge(reason)
    } catch (fault) {
      // It is this worker that ends, or nothing else than the lease's end can be done for it.
      if (!(fault instanceof Stopped)) this.log.error({ err: fault }, 'could not leave an object off')
      else
        await this.leave(BACK).catch((error: unknown) => this.log.warn({ err: error }, 'could not give a lease back'))
    }
  }

  private async judge(reason: unknown): Promise<void> {
    const { load, deps } = this
    const { chunks } = this.hold.progress
    if (reason instanceof Drained) throw new Stopped()
    if (reason instanceof BatchOver || reason instanceof LeaseLost) {
      if (reason instanceof LeaseLost) deps.metrics.retries.inc({ reason: 'lease_lost' })
      this.log.info({ reason: reason.message, chunks }, 'object left off')
      return this.retryLeaving('leave', () => this.leave(BACK))
    }
    const judged = judge(reason, { ...load, wasThere: this.wasThere }, deps.refusedSeconds)
    if (judged.kind === 'fail') return this.fail(judged.code, judged.message)
    const { note } = judged
    if (judged.kind === 'wait') {
      const { seconds } = judged
      deps.metrics.retries.inc({ reason: judged.reason })
      this.log.warn({ reason: judged.reason, note, pause: seconds }, 'object put off')
      const refused = judged.reason === 'refused'
      return this.retryLeaving('leave', () => this.leave({ ...BACK, seconds, note, refused }))
    }
    deps.metrics.retries.inc({ reason: 'crash' })
    this.log.error({ err: reason, attempt: load.attempts }, 'loading an object failed as nobody foresaw')
    const seconds = pauseSeconds(load.attempts)
    return this.retryLeaving('leave', () => this.leave({ came: false, seconds, note }))
  }

  private leave(leaving: Omit<Leaving, 'chunks'>): Promise<void> {
    const { chunks } = this.hold.progress
    return this.deps.loads.leave(this.load.no, this.holder, { ...leaving, chunks })
  }

  private async quarantine(): Promise<void> {
    this.log.error({ attempts: this.load.attempts - 1 }, 'object set aside')
    await this.fail('internal_error', `it ended ${MAX_ATTEMPTS} loaders or more`, true)
  }

  private async refuseBucket(): Promise<void> {
    await this.fail('bucket_not_allowed', `objects of bucket ${this.load.bucket} are not loaded`)
  }

  private async fail(code: BatchErrorCode, message: string, quarantined = false): Promise<void> {
    const bound = await this.bind(undefined)
    if (!bound) return
    const { load, deps, holder } = this
    const error = { code, message: message.includes(this.address) ? message : `${this.address}: ${message}` }
    const taken = { no: load.no, batchNo: bound.batch.no, holder }
    if (!(await this.retry('fail', () => deps.loads.fail(taken, error, deps.replies, quarantined)))) return
    failpoint('after-end')
    this.failed(bound.batch, code)
  }

  private failed(batch: LedgerBatch, error: BatchErrorCode): void {
    const rows = { accepted: 0, rejected: 0 }
    batchEnded(
      this.deps.ingest,
      this.log,
      { ...batch, outcome: 'failed', error, rows, chunks: null },
      { stage: 'load' },
    )
  }
}

const BACK = { came: true, seconds: 0, note: null }
const direct: Waiting = (_, promise) => promise
