import { type BatchError } from '@rates/core/batch'
import { type IncomingRecord, type Producer } from '@rates/service/kafka'
import { Stopped, type RecordContext } from '@rates/service/kafka-consumer'
import { type LedgerBatch } from '@rates/service/ledger/open'
import { type Logger } from '@rates/service/log'
import { UNREADABLE } from '@rates/service/record-batch-guard'
import type pg from 'pg'
import { countAttempt, forgetAttempts, MAX_ATTEMPTS } from './attempts.ts'
import { batchEnded } from './batch-ended.ts'
import { sendDeadLetter } from './dead-letters.ts'
import { readObjectEvents } from './object-events.ts'
import { notified, takeObject, type IntakeSettings } from './object-intake.ts'
import { type IngestMetrics } from './metrics.ts'
import { untilDone, type Retry } from './retry.ts'

export interface ObjectDoorDeps {
  pool: pg.Pool
  producer: Producer
  metrics: IngestMetrics
  log: Logger
  deadLetters: string
  intake: IntakeSettings
}

/**
 * Takes an object store's notifications: each new object is noted for a loader, what cannot be read goes to the dead
 * letters, and nothing stops what comes after it.
 */
export class ObjectDoor {
  private readonly deps: ObjectDoorDeps

  constructor(deps: ObjectDoorDeps) {
    this.deps = deps
  }

  /** @throws Stopped; anything else is a bug, or a fault that waiting does not mend */
  async take(record: IncomingRecord, { signal, suspect }: RecordContext): Promise<void> {
    const { pool, log, metrics } = this.deps
    const retry: Retry = (stage, work) =>
      untilDone(
        stage,
        signal,
        log,
        (reason) => metrics.retries.inc({ stage, reason }),
        (_, promise) => promise,
        work,
      )
    if (signal.aborted) throw new Stopped()
    const attempt = suspect ? await retry('attempt', () => countAttempt(pool, record)) : 1
    try {
      if (attempt > MAX_ATTEMPTS) {
        const detail = `it ended ${MAX_ATTEMPTS} workers or more`
        await retry('poison', () => this.setAside(record, 'internal_error', detail))
      } else await this.takeEvents(record, retry)
    } catch (error) {
      // Left off in good order: that was no try that this record spoilt.
      if (suspect && error instanceof Stopped) await forgetAttempts(pool, record).catch(() => undefined)
      throw error
    }
    if (suspect) await retry('attempt', () => forgetAttempts(pool, record))
  }

  private async takeEvents(record: IncomingRecord, retry: Retry): Promise<void> {
    const { pool, intake } = this.deps
    const unreadable = record.headers.get(UNREADABLE)
    if (unreadable !== undefined) {
      const detail = `the record batch: ${unreadable}`
      return retry('dead-letter', () => this.setAside(record, 'bad_encoding', detail))
    }
    const { created, fault } = readObjectEvents(record.value)
    for (const [i, object] of created.entries()) {
      const taken = await retry('object', () => takeObject(pool, notified(record, i, object), intake))
      if (taken.kind === 'failed') this.ended(taken.batch, taken.error, record)
    }
    if (fault !== undefined) await retry('dead-letter', () => this.setAside(record, 'not_an_event', fault))
  }

  private ended(batch: LedgerBatch, error: BatchError, record: IncomingRecord): void {
    const { metrics, log } = this.deps
    const rows = { accepted: 0, rejected: 0 }
    const ended = { ...batch, outcome: 'failed', error: error.code, rows, chunks: null } as const
    batchEnded(metrics, log, ended, { stage: 'publish', record })
  }

  private async setAside(record: IncomingRecord, reason: string, detail: string): Promise<void> {
    const { producer, metrics, deadLetters, log } = this.deps
    await sendDeadLetter(producer, record, reason, detail, deadLetters)
    metrics.deadLetters.inc({ reason })
    const { topic, partition, offset } = record
    log.warn({ topic, partition, offset: String(offset), reason, detail }, 'dead letter')
  }
}
