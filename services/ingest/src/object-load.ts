import { type BatchErrorCode } from '@rates/core/batch'
import { writeChunkHeaders, type BatchHeaders } from '@rates/core/wire'
import { cutBatch } from '@rates/service/cut-batch'
import { failpoint } from '@rates/service/failpoints'
import { type Producer } from '@rates/service/kafka'
import { Stopped } from '@rates/service/kafka-consumer'
import { type ReplySettings } from '@rates/service/ledger/finish'
import { type LedgerBatch } from '@rates/service/ledger/open'
import { type Logger } from '@rates/service/log'
import { addressOf, StoreFault, type ObjectStore, type ObjectVersion } from '@rates/service/object-store'
import { laneOf } from '@rates/service/produce-batch'
import { collectYoung } from '@rates/service/memory'
import { unlessAborted } from '@rates/service/s3-faults'
import { type TopicNames } from '@rates/service/topics'
import { type Waiting } from '@rates/service/watched-pool'
import { MAX_ATTEMPTS } from './attempts.ts'
import { type IngestMetrics } from './metrics.ts'
import { bindLoad } from './object-bind.ts'
import { howToRead, objectContent, OtherObject, UnusableName } from './object-content.ts'
import { failLoad } from './object-fail.ts'
import { BatchOver, Hold, LeaseLost } from './object-hold.ts'
import { type Leaving, type ObjectLoad, type ObjectLoads } from './object-loads.ts'
import { tellBound, type ObjectMetrics } from './object-metrics.ts'
import { judge, type Judgement } from './object-patience.ts'
import { tagLoading } from './object-tags.ts'
import { untilDone, type Retry } from './retry.ts'

export interface LoadDeps {
  loads: ObjectLoads
  store: ObjectStore
  /** How long the store may refuse our credentials. */
  refusedSeconds: number
  producer: Producer
  topics: Pick<TopicNames, 'batches' | 'bulk'>
  replies: ReplySettings
  metrics: ObjectMetrics
  ingest: Pick<IngestMetrics, 'ended' | 'retries' | 'objectRequests'>
  log: Logger
}

/** Further loaders that try to fail the batch of an object that is set aside. */
const LAST_ATTEMPTS = 3
/** What the store makes of a tag is not waited for any longer. */
const TAG_SECONDS = 10

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
  private readonly ending: AbortSignal
  private readonly log: Logger
  private readonly address: string
  /** It was there when it was looked at this time. */
  private wasThere = false

  constructor(deps: LoadDeps, load: ObjectLoad, holder: string, ending: AbortSignal) {
    this.deps = deps
    this.load = load
    this.holder = holder
    this.ending = ending
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
    if (!(await this.retry('pin', () => deps.loads.pin(load.no, this.holder, found)))) throw new LeaseLost()
    this.log.info({ batch_id: bound.batch.id, bytes: found.size, attempt: load.attempts }, 'loading an object')
    const tagged = bound.batch.dryRun ? undefined : this.tagLoading(found, bound.batch.id)
    try {
      await this.send(found, bound.headers)
    } catch (error) {
      if (!this.isWhole()) throw error
    } finally {
      // The outcome is tagged later, and must not be overtaken.
      await tagged
    }
    failpoint('sent-object')
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

  private tagLoading(found: ObjectVersion, batchId: string): Promise<void> {
    const signal = AbortSignal.any([this.ending, AbortSignal.timeout(TAG_SECONDS * 1000)])
    return tagLoading(this.deps.store, this.load, found, batchId, signal, this.log)
  }

  /** The last acknowledgement was overtaken by what came of it: nothing is missing. */
  private isWhole(): boolean {
    const { reason } = this.hold.signal as { reason?: unknown }
    return reason instanceof BatchOver && reason.isWhole
  }

  /** @throws OtherObject, UnusableName, and the store's faults */
  private async look(): Promise<ObjectVersion> {
    const { bucket, key, versionId, etag } = this.load
    const looking = this.deps.store.head({ bucket, key }, versionId ?? undefined)
    const found = await unlessAborted(looking, this.hold.signal).catch(async (error: unknown) => {
      throw error instanceof StoreFault && (await this.isOfItsName(error)) ? new UnusableName(error) : error
    })
    if (etag !== null && found.etag !== etag) throw new OtherObject(etag, found.etag)
    this.wasThere = true
    return found
  }

  /**
   * Answers to HEAD have no words: 400 is what a store has for a key or a version that there cannot be, and for a region
   * that is not its own. It is the name if another one is understood.
   */
  private async isOfItsName(fault: StoreFault): Promise<boolean> {
    if (fault.status === 405) return true // a mark of deletion
    if (fault.status !== 400) return false
    const another = this.deps.store.head({ bucket: this.load.bucket, key: 'rates' })
    return unlessAborted(another, this.hold.signal).then(
      () => true,
      (other: unknown) => !(other instanceof StoreFault) || other.status === 405,
    )
  }

  /** The batch, if there is something to do for it. */
  private async bind(found: ObjectVersion): Promise<{ batch: LedgerBatch; headers: BatchHeaders } | undefined> {
    const { loads, replies } = this.deps
    const bound = await this.retry('bind', () => bindLoad(loads.pool, this.load.no, found, { replies }))
    tellBound(bound, this.deps.ingest, this.log)
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
    try {
      await this.judge(signal.aborted ? signal.reason : error).catch((fault: unknown) => {
        if (fault instanceof Stopped) throw fault
        // Not even its failing went well.
        return this.putOff(this.judged(fault), fault)
      })
    } catch (fault) {
      // It is this worker that ends, or nothing else than the lease's end can be done for it.
      if (!(fault instanceof Stopped)) this.log.error({ err: fault }, 'could not leave an object off')
      else
        await this.leave(BACK).catch((error: unknown) => this.log.warn({ err: error }, 'could not give a lease back'))
    }
  }

  private async judge(reason: unknown): Promise<void> {
    const { chunks } = this.hold.progress
    if (reason instanceof Drained) throw new Stopped()
    if (reason instanceof BatchOver || reason instanceof LeaseLost) {
      if (reason instanceof LeaseLost) this.deps.metrics.retries.inc({ reason: 'lease_lost' })
      this.log.info({ reason: reason.message, chunks }, 'object left off')
      return this.retryLeaving('leave', () => this.leave(BACK))
    }
    const judged = this.judged(reason)
    return judged.kind === 'fail' ? this.fail(judged.code, judged.message) : this.putOff(judged, reason)
  }

  private judged(reason: unknown): Judgement {
    const { load, wasThere, deps } = this
    const getsOn = this.hold.progress.chunks > load.chunksSent
    const standing = getsOn ? { ...load, waits: 0, attempts: 1 } : load
    return judge(reason, { ...standing, wasThere }, deps.refusedSeconds)
  }

  private putOff(judged: Judgement, reason: unknown): Promise<void> {
    const { metrics } = this.deps
    if (judged.kind === 'wait') {
      const { seconds, note } = judged
      metrics.retries.inc({ reason: judged.reason })
      this.log.warn({ reason: judged.reason, note, pause: seconds }, 'object put off')
      const refused = judged.reason === 'refused'
      return this.retryLeaving('leave', () => this.leave({ ...BACK, seconds, note, refused }))
    }
    if (judged.kind === 'fail') throw reason
    metrics.retries.inc({ reason: 'crash' })
    const { seconds, note } = judged
    this.log.error(
      { err: reason, attempt: this.load.attempts, pause: seconds },
      'loading an object failed as nobody foresaw',
    )
    return this.retryLeaving('leave', () => this.leave({ came: false, seconds, note }))
  }

  private leave(leaving: Omit<Leaving, 'chunks'>): Promise<void> {
    const { chunks } = this.hold.progress
    return this.deps.loads.leave(this.load.no, this.holder, { ...leaving, chunks })
  }

  private async quarantine(): Promise<void> {
    const { load, deps, holder } = this
    const note = `it ended ${MAX_ATTEMPTS} loaders or more`
    this.log.error({ attempts: load.attempts - 1 }, 'object set aside')
    try {
      await this.fail('internal_error', note, true)
    } catch (error) {
      const mayPass = this.judged(error).kind === 'wait'
      if (error instanceof Stopped || mayPass || load.attempts <= MAX_ATTEMPTS + LAST_ATTEMPTS) throw error
      this.log.error({ err: error }, 'the batch of an object that is set aside could not be failed')
      await this.retry('set aside', () => deps.loads.setAside(load.no, holder, note))
      deps.metrics.loads.inc({ outcome: 'quarantined' })
    }
  }

  private async fail(code: BatchErrorCode, message: string, quarantined = false): Promise<void> {
    const { load, deps, holder } = this
    const error = { code, message: message.includes(this.address) ? message : `${this.address}: ${message}` }
    const { replies } = deps
    const failed = await this.retry('fail', () =>
      failLoad(deps.loads.pool, { ...load, holder }, error, { replies }, quarantined),
    )
    if (failed.kind === 'failed') failpoint('after-end')
    tellBound(failed, deps.ingest, this.log)
  }
}

const BACK = { came: true, seconds: 0, note: null }
const direct: Waiting = (_, promise) => promise
