import { type BatchHeaders } from '@rates/core/wire'
import { failpoint } from '@rates/service/failpoints'
import { type KafkaSettings, type OutgoingRecord } from '@rates/service/kafka'
import { NoSuchPlace, type Fetcher } from '@rates/service/kafka-fetch'
import { endEarly } from '@rates/service/ledger/end-early'
import { type ReplySettings } from '@rates/service/ledger/finish'
import { type LedgerBatch } from '@rates/service/ledger/open'
import { type Logger } from '@rates/service/log'
import { type TopicNames } from '@rates/service/topics'
import { type Pool } from 'pg'
import { Problem } from './problem.ts'
import { connectForRetry } from './retry-fetcher.ts'
import { countGone, findEnded, openRetry, storedNumbers, type ChunkPlace, type Ended } from './retry-ledger.ts'
import { asPartOf, laneOf, OtherRecord, placesOf, readChunk, type BatchRecord } from './retry-records.ts'
import { incomplete, kafkaAway, recordsGone, refusal } from './retry-refusals.ts'
import { findMissing } from './retry-search.ts'
import { SendFailed, type SharedProducer } from './shared-producer.ts'

/** What the caller may say; all else the new batch has from the old one. */
export interface RetryRequest {
  id: string | undefined
  deadline: string | undefined
  traceparent: string | undefined
}

export interface RetryParts {
  pool: Pool
  producer: SharedProducer
  kafka: KafkaSettings
  topics: TopicNames
  replies: ReplySettings
  publicUrl: string
  log: Logger
}

/** Where all chunks of a batch are that the ledger does not have. */
interface Whereabouts {
  total: number
  found: ReadonlyMap<number, ChunkPlace>
}

/** After these the rest was never sent, or workers have waited for it. */
const NEVER_CAME = ['incomplete', 'upload_broken', 'retry_broken']

/**
 * Runs batches again: what Kafka has of one that ended is sent once more as a batch of its own, record by record, as it
 * is. Whatever can be refused is refused before that batch is opened. If the sending breaks it is cancelled; if this
 * process dies it fails as incomplete after the chunk timeout.
 */
export class Retries {
  readonly #parts: RetryParts

  constructor(parts: RetryParts) {
    this.#parts = parts
  }

  /**
   * Resolves with the new batch's id when Kafka has acknowledged all of it.
   * @throws Problem, the signal's reason
   */
  async run(id: string, request: RetryRequest, signal: AbortSignal): Promise<string> {
    const { pool, producer, kafka, publicUrl } = this.#parts
    const batch = await findEnded(pool, id)
    if ('code' in batch) throw refusal(id, batch, publicUrl)
    const sender = await producer.acquire().catch(() => {
      throw kafkaAway()
    })
    const fetcher = await connectForRetry(kafka, signal)
    try {
      const whereabouts = await this.#locate(fetcher, batch, signal)
      return await this.#run(batch, whereabouts, fetcher, (record) => sender.send([record]), request, signal)
    } catch (error) {
      if (error instanceof NoSuchPlace || error instanceof OtherRecord) throw recordsGone(id, null, batch.stored)
      throw error instanceof SendFailed ? kafkaAway() : error
    } finally {
      await fetcher.close()
    }
  }

  /** Finds all chunks without reading them. @throws Problem 409 */
  async #locate(fetcher: Fetcher, batch: Ended, signal: AbortSignal): Promise<Whereabouts> {
    const { pool, topics } = this.#parts
    const { id, no, lane, stored, total, errorCode } = batch
    const lanes = [topics.batches, topics.bulk]
    const ends = new Map(await Promise.all(lanes.map(async (each) => [each, await fetcher.ends(each)] as const)))
    const gone = await countGone(pool, no, ends)
    if (gone > 0) throw recordsGone(id, gone, stored)
    if (stored === total) return { total, found: new Map() }
    if (NEVER_CAME.includes(errorCode ?? '')) throw incomplete(id, total === null ? null : total - stored, total, false)
    const numbers = await storedNumbers(pool, no)
    const search = lane !== null && lanes.includes(lane) ? [lane] : lanes
    const found = await findMissing(fetcher, search, batch, numbers, signal)
    if (found.missing !== 0) throw incomplete(id, found.missing, found.total, found.gaveUp)
    return { total: found.total!, found: found.places }
  }

  async #run(
    batch: Ended,
    { total, found }: Whereabouts,
    fetcher: Fetcher,
    send: (record: OutgoingRecord) => Promise<void>,
    request: RetryRequest,
    signal: AbortSignal,
  ): Promise<string> {
    const { pool, topics, publicUrl, log } = this.#parts
    const places = placesOf(pool, batch.no, total, found)
    // Read before anything is opened: it tells what the sender said of the batch, and that the places are right.
    const first = await readChunk(fetcher, batch.id, (await places.next()).value as ChunkPlace)
    const headers = headersOf(batch.id, first, request)
    const lane = laneOf(topics, total)
    const retry = await openRetry(pool, headers, request.id, lane)
    if ('code' in retry) throw refusal(batch.id, retry, publicUrl)
    failpoint('opened-upload')
    const sendOne = async (record: BatchRecord): Promise<void> => {
      signal.throwIfAborted()
      await send(asPartOf({ ...headers, batchId: retry.id }, total, lane, record))
      failpoint('sent-chunk')
    }
    try {
      await sendOne(first)
      for await (const place of places) await sendOne(await readChunk(fetcher, batch.id, place))
    } catch (error) {
      await this.#cancel(retry, error)
      throw error
    }
    failpoint('sent-upload')
    log.info({ batch_id: retry.id, retry_of: batch.id, chunks: total }, 'a batch is run again')
    return retry.id
  }

  async #cancel(retry: LedgerBatch, error: unknown): Promise<void> {
    const { pool, replies, log } = this.#parts
    const message = reasonOf(error)
    try {
      await endEarly(pool, retry.no, 'cancelled', { code: 'retry_broken', message }, replies)
    } catch (failure) {
      log.error({ err: failure, batch_id: retry.id }, 'could not cancel a batch whose records could not be sent again')
    }
  }
}

/** As the sender of the first batch said it; deadline, trace and id are the caller's. */
function headersOf(
  id: string,
  first: BatchRecord,
  request: RetryRequest,
): Omit<BatchHeaders, 'batchId'> & { retryOf: string } {
  const { source, replaces, replyTo, correlationId, onDeadline } = first.envelope.batch
  const { deadline, traceparent } = request
  return { source, replaces, replyTo, correlationId, retryOf: id, onDeadline, deadline, traceparent }
}

function reasonOf(error: unknown): string {
  if (error instanceof Problem || error instanceof NoSuchPlace || error instanceof OtherRecord) return error.message
  return error instanceof SendFailed ? kafkaAway().message : 'A fault of the service.'
}
