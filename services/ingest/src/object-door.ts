import { type IncomingRecord, type Producer } from '@rates/service/kafka'
import { Stopped, type RecordContext } from '@rates/service/kafka-consumer'
import { type Logger } from '@rates/service/log'
import { UNREADABLE } from '@rates/service/record-batch-guard'
import type pg from 'pg'
import { countAttempt, forgetAttempts, MAX_ATTEMPTS } from './attempts.ts'
import { sendDeadLetter } from './dead-letters.ts'
import { readObjectEvents } from './object-events.ts'
import { noteObjects, notified } from './object-intake.ts'
import { type IngestMetrics } from './metrics.ts'
import { untilDone, type Retry } from './retry.ts'

export interface ObjectDoorDeps {
  pool: pg.Pool
  producer: Producer
  metrics: IngestMetrics
  log: Logger
  deadLetters: string
  /** Whose objects become batches. */
  buckets: readonly string[]
}

/** Objects that are noted in one transaction. */
const TOGETHER = 500

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
      } else await this.takeEvents(record, { signal, suspect }, retry)
    } catch (error) {
      // Left off in good order: that was no try that this record spoilt.
      if (suspect && error instanceof Stopped) await forgetAttempts(pool, record).catch(() => undefined)
      throw error
    }
    if (suspect) await retry('attempt', () => forgetAttempts(pool, record))
  }

  private async takeEvents(record: IncomingRecord, { signal, suspect }: RecordContext, retry: Retry): Promise<void> {
    const { pool, buckets, metrics } = this.deps
    const unreadable = record.headers.get(UNREADABLE)
    if (unreadable !== undefined) {
      const detail = `the record batch: ${unreadable}`
      return retry('dead-letter', () => this.setAside(record, 'bad_encoding', detail))
    }
    const { created, foreign, fault } = readObjectEvents(record.value, buckets)
    for (let from = 0; from < created.length; from += TOGETHER) {
      if (signal.aborted) throw new Stopped()
      const requests = created.slice(from, from + TOGETHER).map((object) => notified(record, object))
      const noted = await retry('object', () => noteObjects(pool, requests))
      metrics.objectRequests.inc({ outcome: 'noted' }, noted)
      // A round that brings it forward is not spoilt, whatever ends this worker later.
      if (suspect && noted > 0) await retry('attempt', () => forgetAttempts(pool, record))
    }
    if (fault !== undefined) await retry('dead-letter', () => this.setAside(record, 'not_an_event', fault))
    metrics.objectRequests.inc({ outcome: 'foreign_bucket' }, foreign)
  }

  private async setAside(record: IncomingRecord, reason: string, detail: string): Promise<void> {
    const { producer, metrics, deadLetters, log } = this.deps
    await sendDeadLetter(producer, record, reason, detail, deadLetters)
    metrics.deadLetters.inc({ reason })
    const { topic, partition, offset } = record
    log.warn({ topic, partition, offset: String(offset), reason, detail }, 'dead letter')
  }
}
