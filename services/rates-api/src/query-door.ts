import { connectAdmin, type Admin } from '@rates/service/kafka-admin'
import { connectProducer, type IncomingRecord, type KafkaSettings } from '@rates/service/kafka'
import { startConsumer } from '@rates/service/kafka-consumer'
import { Lifecycle } from '@rates/service/lifecycle'
import { type Logger } from '@rates/service/log'
import { groupNames, topicNames } from '@rates/service/topics'
import { waitOut } from '@rates/service/wait-out'
import { within } from '@rates/service/within'
import type pg from 'pg'
import { type Answers } from './answers.ts'
import { type ClaimStore } from './claim-store.ts'
import { QueryAnswerer } from './query-answerer.ts'
import { QueryAnswers } from './query-answers.ts'
import { QueryLots } from './query-lots.ts'
import { type QueryMetrics } from './query-metrics.ts'
import { QuerySender } from './query-sender.ts'
import { Slots } from './slots.ts'

export interface DoorParts {
  kafka: KafkaSettings
  /** Precedes the topics' and the group's names. */
  prefix: string
  /** That queries may name in `reply-to`, besides the default one. */
  replyTopics: readonly string[]
  pool: pg.Pool
  answers: Answers
  claims: ClaimStore
  publicUrl: string
  answerMaxBytes: number
  atOnce: number
  /** After a stop begins no lot of what was fetched; the one in hand may take as long again. */
  drainSeconds: number
  /** Throws while there is no use in taking queries. */
  ready: () => void
  metrics: QueryMetrics
  log: Logger
}

/** Queries are small: more of them would only wait here, where another process could have them. */
const FETCH_BYTES = 256 * 1024
const FORGET_MILLISECONDS = 60_000

class Missing extends Error {}

/**
 * Where queries come in by message. It connects when Kafka is there, and anew after its consumer has ended: the API goes
 * on without it. Its states: waiting for what it needs, open, ended (after stop).
 */
export class QueryDoor {
  readonly #parts: DoorParts
  readonly #stopping = new AbortController()
  readonly #answers: QueryAnswers
  #going: Promise<void> | undefined
  #stopped: Promise<void> | undefined
  #isOpen = false
  /** Partitions of which queries are in hand. */
  #inHand = 0
  #finishBy = Infinity

  constructor(parts: DoorParts) {
    this.#parts = parts
    this.#answers = new QueryAnswers(parts.pool)
  }

  start(): void {
    this.#going ??= this.#run()
  }

  /** Takes no further query, answers those in hand as long as there is time, leaves the group. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#finishBy = performance.now() + this.#parts.drainSeconds * 1000
    this.#stopping.abort()
    // Who only tries to connect, or to join the group, has nothing in hand, and may try for long.
    const hasToEnd = this.#isOpen || this.#inHand > 0
    if (hasToEnd) await within(this.#parts.drainSeconds * 2, this.#going ?? Promise.resolve())
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    const { log } = this.#parts
    // Whatever is wrong, queries wait until it is not.
    await waitOut('queries by message', () => this.#open(), { signal, log, passes: () => true }).catch(() => undefined)
  }

  /** Resolves when the process stops. @throws when the consumer has ended by itself, or does not start */
  async #open(): Promise<void> {
    const { kafka, prefix, metrics, ready, log } = this.#parts
    const { signal } = this.#stopping
    const topics = topicNames(prefix)
    const groupId = groupNames(prefix).queries
    const lifecycle = new Lifecycle()
    try {
      ready()
      const admin = await connectAdmin(kafka)
      lifecycle.defer('the admin', () => admin.close())
      const there = await admin.topics()
      const missing = [topics.queries, topics.replies].filter((topic) => !there.includes(topic))
      if (missing.length > 0) throw new Missing(`topics are missing: ${missing.join(', ')}`)
      const producer = await connectProducer(kafka)
      lifecycle.defer('the producer', () => producer.close())
      if (signal.aborted) return
      const sender = new QuerySender({
        producer,
        admin,
        replies: topics.replies,
        onDiverted: () => metrics.diverted.inc(),
        log,
      })
      const lots = this.#lots(sender, async ({ partition, offset }: IncomingRecord) => {
        const next = (await this.#committed(admin)).get(partition)
        return next !== undefined && next > offset
      })
      const consumer = await startConsumer(kafka, {
        groupId,
        topic: topics.queries,
        maxBytes: FETCH_BYTES,
        handleAll: async (records, context) => {
          this.#inHand++
          await lots.take(records, context).finally(() => this.#inHand--)
        },
      })
      this.#isOpen = true
      lifecycle.defer('the consumer', () => consumer.stop())
      const forgetting = setInterval(() => void this.#forget(admin), FORGET_MILLISECONDS)
      lifecycle.defer('forgetting', () => clearInterval(forgetting))
      log.info({ groupId, topic: topics.queries }, 'queries by message are answered')
      await Promise.race([consumer.failed, aborted(signal)])
    } finally {
      await lifecycle.stop().catch((error: unknown) => log.warn({ err: error }, 'queries by message: closing'))
      this.#isOpen = false
    }
  }

  #lots(sender: QuerySender, hasGoneOn: (record: IncomingRecord) => Promise<boolean>): QueryLots {
    const { prefix, replyTopics, answers, claims, publicUrl, answerMaxBytes, atOnce, metrics, log } = this.#parts
    const { replies } = topicNames(prefix)
    return new QueryLots({
      topics: { replies, allowed: [replies, ...replyTopics] },
      answerer: new QueryAnswerer({ answers, claims, publicUrl, maxBytes: answerMaxBytes, log }),
      answers: this.#answers,
      sender,
      claims,
      slots: new Slots(atOnce),
      hasGoneOn,
      mayFinish: () => this.#stopping.signal.aborted && performance.now() < this.#finishBy,
      metrics,
      log,
    })
  }

  async #committed(admin: Admin): Promise<Map<number, bigint>> {
    const { prefix } = this.#parts
    const progress = await admin.progress(groupNames(prefix).queries, topicNames(prefix).queries)
    return new Map(progress.flatMap(({ partition, committed }) => (committed === null ? [] : [[partition, committed]])))
  }

  async #forget(admin: Admin): Promise<void> {
    const { prefix, log } = this.#parts
    try {
      await this.#answers.forget(topicNames(prefix).queries, await this.#committed(admin))
    } catch (error) {
      log.warn({ err: error }, 'answers to queries were not forgotten: trying again')
    }
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
