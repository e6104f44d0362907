import { type BatchError } from '@rates/core/batch'
import { type LoopStage } from '@rates/core/bottleneck'
import { Packer } from '@rates/core/pack'
import { RowBuffer } from '@rates/core/row-buffer'
import { readHeaders, type BatchHeaders } from '@rates/core/wire'
import { failpoint } from '@rates/service/failpoints'
import { type IncomingRecord, type Producer } from '@rates/service/kafka'
import { Stopped, type RecordContext } from '@rates/service/kafka-consumer'
import { endEarly, endEarlyIn } from '@rates/service/ledger/end-early'
import { CANCELLED } from '@rates/service/ledger/cancel'
import { enqueueReply, replyTopic, type ReplySettings, type Verdict } from '@rates/service/ledger/finish'
import { openBatch, type LedgerBatch } from '@rates/service/ledger/open'
import { type Logger } from '@rates/service/log'
import { withTransaction } from '@rates/service/postgres'
import type pg from 'pg'
import { countAttempt, forgetAttempts, MAX_ATTEMPTS } from './attempts.ts'
import { batchEnded, type EndedBatch } from './batch-ended.ts'
import { type Catalog } from './catalog.ts'
import { ChunkReader } from './chunk-reader.ts'
import { relate } from './conflict.ts'
import { refusal, sendDeadLetter } from './dead-letters.ts'
import {
  readRecord,
  type DeadLetter,
  type IncomingChunk,
  type IncomingObject,
  type UnreadableBatch,
} from './incoming.ts'
import { type LoopClock } from './loop-clock.ts'
import { type IngestMetrics } from './metrics.ts'
import { claimed, failObject, takeObject } from './object-intake.ts'
import { isComplete, publish } from './publish.ts'
import { replyAgain } from './reply-again.ts'
import { untilDone, type Retry } from './retry.ts'
import { refuseRevert, revertByRecord } from './revert-record.ts'
import { noteTotal, storeChunks } from './store-chunk.ts'
import { storeSmall, verdictOf } from './store-small.ts'

export interface IngestDeps {
  pool: pg.Pool
  producer: Producer
  catalog: Catalog
  metrics: IngestMetrics
  /** Its user's waits for pool and producer are told to it. */
  clock: LoopClock<LoopStage>
  /** Told of each step that is tried again. */
  onRetry: () => void
  log: Logger
  worker: string
  deadLetters: string
  replies: ReplySettings
  /** Whose objects may become batches. */
  buckets: readonly string[]
  /** Days in which a batch that succeeded may be reverted. */
  revertWindowDays: number
}

/**
 * Takes one record to its end: stored and published if it was the last of its batch, known already, refused, or set
 * aside. Resolves when the record need not come again. Knows nothing of Kafka but the record and the producer.
 */
export class RecordIngester {
  readonly packer = new Packer()
  readonly reader: ChunkReader
  readonly deps: IngestDeps
  private readonly rows = new RowBuffer()

  constructor(deps: IngestDeps) {
    this.deps = deps
    this.reader = new ChunkReader(deps.catalog, deps.worker)
  }

  /** Steps that are done again after faults that pass, until the signal aborts. */
  retryUntil(signal: AbortSignal): Retry {
    const { log, metrics, clock, onRetry } = this.deps
    const retried = (stage: string, reason: string): void => {
      metrics.retries.inc({ stage, reason })
      onRetry()
    }
    return (what, work) => untilDone(what, signal, log, (reason) => retried(what, reason), clock.waiting, work)
  }

  /** @throws Stopped; anything else is a bug, or a fault that waiting does not mend */
  async ingest(record: IncomingRecord, { signal, suspect }: RecordContext): Promise<void> {
    const retry = this.retryUntil(signal)
    if (signal.aborted) throw new Stopped() // it waited for its turn meanwhile
    const { clock } = this.deps
    clock.enter('decode')
    const attempt = suspect ? await retry('attempt', () => countAttempt(this.deps.pool, record)) : 1
    if (attempt > 1) this.deps.log.warn({ ...placeOf(record), attempt }, 'a record comes again')
    failpoint('took-record')
    try {
      const read = await readRecord(record)
      if (read.kind !== 'chunk' || attempt > MAX_ATTEMPTS) clock.enter('publish')
      if (attempt > MAX_ATTEMPTS) await retry('poison', () => this.setPoisonAside(record, read))
      else if (read.kind === 'dead-letter') await retry('dead-letter', () => this.refuse(record, read))
      else if (read.kind === 'cancel') await retry('cancel', () => this.cancel(record, read.batch))
      else if (read.kind === 'revert') await retry('revert', () => this.revert(record, read.batch))
      else if (read.kind === 'object') await retry('object', () => this.takeClaim(record, read))
      else if (read.kind === 'unreadable') await retry('unreadable', () => this.failUnreadable(record, read, attempt))
      else await this.ingestChunk(record, read, attempt, retry)
    } catch (error) {
      // Left off in good order: that was no try that this record spoilt.
      if (suspect && error instanceof Stopped) await forgetAttempts(this.deps.pool, record).catch(() => undefined)
      throw error
    }
    failpoint('handled-record')
    if (suspect) await retry('attempt', () => forgetAttempts(this.deps.pool, record))
  }

  private async ingestChunk(
    record: IncomingRecord,
    incoming: IncomingChunk,
    attempt: number,
    retry: Retry,
  ): Promise<void> {
    const { pool, metrics, replies, clock } = this.deps
    const { batch: headers } = incoming
    clock.enter('validate')
    const takenAt = new Date()
    const stopTimer = metrics.chunkSeconds.startTimer()

    const refused = await retry('parse', () => this.reader.parse(incoming, this.rows))
    if (refused) return retry('dead-letter', () => this.refuse(record, refused))
    failpoint('parsed')
    const chunk = await this.reader.chunkRow(record, incoming, this.rows, attempt, takenAt)
    const verdict = verdictOf(this.rows, chunk.digest)
    const encode = (no: bigint) => this.packer.encode([this.rows], this.deps.catalog.ports, no)
    clock.enter('copy')

    const allowed = headers.replyTo === undefined || replies.allowed.includes(headers.replyTo)
    if (incoming.total === 1 && allowed && headers.replaces === undefined && headers.deadline === undefined) {
      const pack = headers.dryRun ? undefined : encode
      failpoint('before-small')
      const isNew = await retry('store', () => storeSmall(pool, headers, chunk, verdict, pack, replies))
      failpoint('after-small')
      if (isNew) {
        stopTimer()
        metrics.stored(chunk)
        this.ended(ofHeaders(headers, record), verdict, 'copy', record, attempt)
        return
      }
    }

    const { batch } = await retry('open', () => openBatch(pool, headers, record.topic, new Date(record.timestamp)))
    failpoint('opened-batch')
    const relation = await retry('relate', () => relate(pool, batch, incoming, record))
    if (relation.kind === 'conflict') {
      const { batchId, replyTo } = headers
      const { detail } = relation
      const letter = { kind: 'dead-letter', reason: 'id_conflict', detail, batchId, replyTo } as const
      return retry('dead-letter', () => this.refuse(record, letter))
    }
    metrics.chunks.inc({ relation: relation.kind })
    if (relation.kind === 'repeat' && batch.state !== 'open' && incoming.total !== undefined) {
      return retry('repeat', () => replyAgain(pool, batch))
    }
    if (batch.state !== 'open') return
    if (!allowed) return retry('reply-to', () => this.failReplyTo(batch, record))
    if (relation.kind === 'new') {
      failpoint('before-chunk')
      const pack = batch.dryRun ? undefined : () => encode(batch.no)
      const stored = await retry('store', () => storeChunks(pool, batch.no, [chunk], pack))
      if (stored === 'stored') {
        stopTimer()
        metrics.stored(chunk)
      }
      if (stored === 'ended') return
      // Another record of it was stored meanwhile: this one is judged by that.
      if (stored === 'there') return this.ingestChunk(record, incoming, attempt, retry)
      failpoint('after-chunk')
    } else if (relation.kind === 'repeat' && incoming.total !== undefined) {
      const total = incoming.total
      await retry('total', () => noteTotal(pool, batch.no, incoming.chunk, total))
    }
    await this.publishIfComplete(batch, record, retry, attempt)
  }

  /** Tried after every chunk, before its offset is committed. */
  async publishIfComplete(batch: LedgerBatch, record: IncomingRecord, retry: Retry, attempt: number): Promise<void> {
    const { pool, replies, clock } = this.deps
    clock.enter('publish')
    if (!(await retry('publish', () => isComplete(pool, batch.no)))) return
    failpoint('before-publish')
    const published = await retry('publish', () => publish(pool, batch.no, replies))
    failpoint('after-publish')
    if (published) this.ended(published.batch, published.verdict, 'publish', record, attempt)
  }

  /** In one transaction: a batch that nobody knows yet is never open, or a chunk of it could slip in. */
  private async cancel(record: IncomingRecord, headers: BatchHeaders): Promise<void> {
    const { pool, replies } = this.deps
    const cancelled = await withTransaction(pool, async (client) => {
      const { batch } = await openBatch(client, headers, record.topic, new Date(record.timestamp))
      return (await endEarlyIn(client, batch.no, 'cancelled', CANCELLED, replies)) && batch
    })
    if (!cancelled) return
    failpoint('after-end')
    this.ended(cancelled, endedEarly('cancelled', CANCELLED), 'publish', record)
  }

  private async revert(record: IncomingRecord, request: BatchHeaders): Promise<void> {
    const { pool, replies, revertWindowDays: windowDays, log, metrics } = this.deps
    const reply = await revertByRecord(pool, record, request, { windowDays, replies })
    if (!reply) return
    const { state, error } = reply
    metrics.reverts.inc({ result: error?.code ?? state })
    log.info({ batch_id: request.batchId, state, reason: error?.code, ...placeOf(record) }, 'revert answered')
  }

  private async takeClaim(record: IncomingRecord, read: IncomingObject): Promise<void> {
    const taken = await takeObject(this.deps.pool, claimed(record, read), this.deps)
    if (taken.kind === 'failed') this.ended(taken.batch, endedEarly('failed', taken.error), 'publish', record)
    if (taken.kind !== 'conflict') return
    const { detail, batchId } = taken
    const { replyTo } = read.headers
    return this.refuse(record, { kind: 'dead-letter', reason: 'id_conflict', detail, batchId, replyTo })
  }

  private async failUnreadable(record: IncomingRecord, read: UnreadableBatch, attempt: number): Promise<void> {
    const { pool, replies } = this.deps
    const { batch: headers, message } = read
    this.rows.reset()
    const chunk = await this.reader.chunkRow(record, read, this.rows, attempt, new Date())
    const error = { code: 'unreadable', message } as const
    const verdict = { ...verdictOf(this.rows, chunk.digest), state: 'failed', error, digest: null } as const
    if (await storeSmall(pool, headers, chunk, verdict, undefined, replies)) {
      return this.ended(ofHeaders(headers, record), verdict, 'publish', record, attempt)
    }
    const { batch } = await openBatch(pool, headers, record.topic, new Date(record.timestamp))
    const relation = await relate(pool, batch, read, record)
    if (relation.kind === 'repeat' && batch.state !== 'open') return replyAgain(pool, batch)
    if (relation.kind === 'same' || relation.kind === 'late') return
    const { batchId, replyTo } = headers
    return this.refuse(record, { kind: 'dead-letter', reason: 'id_conflict', detail: message, batchId, replyTo })
  }

  private async failReplyTo(batch: LedgerBatch, record: IncomingRecord): Promise<void> {
    const message = `reply-to ${batch.replyTo} is not one of the allowed topics; the reply is here`
    const error = { code: 'reply_to_not_allowed', message } as const
    const ended = await endEarly(this.deps.pool, batch.no, 'failed', error, this.deps.replies)
    if (ended) this.ended(batch, endedEarly('failed', error), 'publish', record)
  }

  /** A record that changes nothing: it goes to the dead letters, and its sender is told if it named its batch. */
  private async refuse(record: IncomingRecord, letter: DeadLetter): Promise<void> {
    const { pool, replies, log } = this.deps
    const { reason, detail, batchId, replyTo } = letter
    if (batchId !== undefined) {
      const state = reason === 'id_conflict' ? 'id_conflict' : 'unreadable'
      const reply = refusal(record, batchId, state, reason, detail)
      const { traceparent = null } = readHeaders(record.headers, ['traceparent']).right
      await enqueueReply(pool, reply, replyTopic(replyTo, replies), traceparent)
    }
    failpoint('refused-record')
    await this.setAside(record, reason, detail)
    log.warn({ ...placeOf(record), batch_id: batchId, reason, detail }, 'dead letter')
  }

  /** A record that ends its workers costs its batch, not the partition. */
  private async setPoisonAside(record: IncomingRecord, read: Awaited<ReturnType<typeof readRecord>>): Promise<void> {
    const { pool, replies, log } = this.deps
    const message = `a record of it ended ${MAX_ATTEMPTS} workers or more; it is in the dead letters`
    if (read.kind === 'chunk' || read.kind === 'unreadable') {
      const { batch } = await openBatch(pool, read.batch, record.topic, new Date(record.timestamp))
      const error = { code: 'internal_error', message } as const
      const ended = await endEarly(pool, batch.no, 'failed', error, replies)
      if (ended) this.ended(batch, endedEarly('failed', error), 'publish', record)
    }
    if (read.kind === 'object') {
      const error = { code: 'internal_error', message } as const
      const taken = await failObject(pool, claimed(record, read), error, this.deps)
      if (taken.kind === 'failed') this.ended(taken.batch, endedEarly('failed', error), 'publish', record)
    }
    if (read.kind === 'revert') await refuseRevert(pool, record, read.batch, message, replies)
    await this.setAside(record, 'internal_error', message)
    log.error(placeOf(record), 'set a record aside that ended its workers')
  }

  private async setAside(record: IncomingRecord, reason: string, detail: string): Promise<void> {
    const { producer, deadLetters, metrics } = this.deps
    await sendDeadLetter(producer, record, reason, detail, deadLetters)
    metrics.deadLetters.inc({ reason })
  }

  private ended(
    batch: Opened,
    verdict: Ended,
    stage: 'copy' | 'publish',
    record: IncomingRecord,
    attempt?: number,
  ): void {
    const { metrics, log } = this.deps
    const { state: outcome, error, rows, chunks } = verdict
    batchEnded(metrics, log, { ...batch, outcome, error: error?.code, rows, chunks }, { stage, attempt, record })
  }
}

type Opened = Omit<EndedBatch, 'outcome' | 'error' | 'rows' | 'chunks'>
type Ended = Pick<Verdict, 'state' | 'error' | 'rows' | 'chunks'>

/** A batch of which nothing was counted here. */
const endedEarly = (state: Verdict['state'], error: BatchError): Ended => ({
  state,
  error,
  rows: { accepted: 0, rejected: 0 },
  chunks: null,
})

/** A batch that began with this record. */
const ofHeaders = (headers: BatchHeaders, record: IncomingRecord): Opened => ({
  id: headers.batchId,
  dryRun: headers.dryRun ?? false,
  source: headers.source ?? null,
  createdAt: new Date(record.timestamp),
  deadline: headers.deadline === undefined ? null : new Date(headers.deadline),
  correlationId: headers.correlationId ?? null,
  traceparent: headers.traceparent ?? null,
})

const placeOf = ({ topic, partition, offset }: IncomingRecord) => ({ topic, partition, offset: String(offset) })
