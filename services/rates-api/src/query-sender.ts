import { type OutgoingRecord, type Producer } from '@rates/service/kafka'
import { type Admin } from '@rates/service/kafka-admin'
import { kafkaWord, RECORD_REFUSED } from '@rates/service/kafka-faults'
import { type Logger } from '@rates/service/log'
import { waitOut } from '@rates/service/wait-out'

export interface SenderParts {
  producer: Pick<Producer, 'send'>
  admin: Pick<Admin, 'topics' | 'describeTopic'>
  /** Where answers go whose own topic does not take them. */
  replies: string
  /** Told of each of those. */
  onDiverted: () => void
  log: Logger
}

/** What goes to one partition together has to fit into one record batch of a broker's 1 MB. */
const REQUEST_BYTES = 900_000
const HEADERS_BYTES = 1_000
/** How long the list of topics is believed, and a topic that takes nothing is left alone. */
const LIST_MILLISECONDS = 5_000
const REST_MILLISECONDS = 60_000
/** A topic that fails so often while the cluster answers is taken for one that goes on failing. */
const MAX_FAILURES = 3

/** What a broker says of a topic that it will not say otherwise soon. */
const TOPIC_REFUSED = /^(TOPIC_AUTHORIZATION_FAILED|INVALID_TOPIC_EXCEPTION|POLICY_VIOLATION)$/

/** The default topic has not taken an answer: there is no other one for it. */
class Refused extends Error {
  override name = 'Refused'
}

/**
 * Sends answers, waits as long as Kafka is away, and keeps nobody waiting for somebody else's topic: one that is not
 * there, or takes an answer not, loses it to the default topic, so that it is read by somebody.
 */
export class QuerySender {
  readonly #parts: SenderParts
  /** Topics that took nothing, and until when they are left alone. */
  readonly #resting = new Map<string, number>()
  #there: { topics: ReadonlySet<string>; until: number } | undefined

  constructor(parts: SenderParts) {
    this.#parts = parts
  }

  /** Resolves when Kafka has them all, in this order as far as they are in one partition. @throws Stopped */
  async send(records: readonly OutgoingRecord[], signal: AbortSignal): Promise<void> {
    const { replies, log, onDiverted } = this.#parts
    const patience = { signal, log, passes: () => true }
    const diverted = new Set<OutgoingRecord>()
    for (const [topic, own] of Map.groupBy(records, (record) => record.topic)) {
      if (topic === replies) continue
      const work = this.#delivery(topic, own)
      for (const record of await waitOut(`answers to ${topic}`, work, patience)) diverted.add(record)
    }
    // Last, and together: one key's answers keep the order of their queries there.
    const left = records.filter((record) => record.topic === replies || diverted.has(record))
    const toDefault = left.map((record) => ({ ...record, topic: replies }))
    await waitOut('answers', this.#defaultDelivery(toDefault), patience)
    for (let i = 0; i < diverted.size; i++) onDiverted()
  }

  /** @returns to be called until it resolves with those that the topic does not take */
  #delivery(topic: string, records: readonly OutgoingRecord[]): () => Promise<readonly OutgoingRecord[]> {
    let failures = 0
    return async () => {
      if (this.#isResting(topic)) return records
      if (!(await this.#isThere(topic))) {
        this.#parts.log.warn({ topic }, 'there is no such topic: answers go to the default one')
        return records
      }
      try {
        return await this.#sendWhatFits(records)
      } catch (error) {
        this.#there = undefined
        const isThere = await this.#isThere(topic) // or the whole cluster is away
        if (isThere && !says(error, TOPIC_REFUSED) && ++failures < MAX_FAILURES) throw error
        this.#parts.log.warn({ err: error, topic }, 'this topic takes no answers: they go to the default one')
        this.#resting.set(topic, performance.now() + REST_MILLISECONDS)
        return records
      }
    }
  }

  /** @returns to be called until it resolves: what is refused waits, with what comes after it of its key */
  #defaultDelivery(records: readonly OutgoingRecord[]): () => Promise<void> {
    let left = records
    return async () => {
      left = await this.#sendWhatFits(left, { keepOrder: true })
      if (left.length === 0) return
      const { admin, replies, log } = this.#parts
      const { config } = await admin.describeTopic(replies)
      const details = { topic: replies, 'max.message.bytes': config['max.message.bytes'], bytes: bytesOf(left[0]!) }
      log.error(details, 'the default topic does not take an answer, which waits with those behind it: raise its limit')
      throw new Refused(`${replies} does not take an answer of ${bytesOf(left[0]!)} bytes`)
    }
  }

  /** @returns those that are refused */
  async #sendWhatFits(records: readonly OutgoingRecord[], how = { keepOrder: false }): Promise<OutgoingRecord[]> {
    try {
      await this.#sendAll(records)
      return []
    } catch (error) {
      if (!says(error, RECORD_REFUSED)) throw error
      return this.#oneByOne(records, how)
    }
  }

  /** @returns those that are refused; to keep the order, with those after them of their key */
  async #oneByOne(
    records: readonly OutgoingRecord[],
    { keepOrder }: { keepOrder: boolean },
  ): Promise<OutgoingRecord[]> {
    const refused: OutgoingRecord[] = []
    for (const record of records) {
      if (keepOrder && record.key && refused.some(({ key }) => key && Buffer.compare(key, record.key!) === 0)) {
        refused.push(record)
        continue
      }
      try {
        await this.#parts.producer.send([record])
      } catch (error) {
        if (!says(error, RECORD_REFUSED)) throw error
        refused.push(record)
      }
    }
    return refused
  }

  async #sendAll(records: readonly OutgoingRecord[]): Promise<void> {
    let request: OutgoingRecord[] = []
    let bytes = 0
    for (const record of records) {
      const more = bytesOf(record)
      if (request.length > 0 && bytes + more > REQUEST_BYTES) {
        await this.#parts.producer.send(request)
        request = []
        bytes = 0
      }
      request.push(record)
      bytes += more
    }
    if (request.length > 0) await this.#parts.producer.send(request)
  }

  #isResting(topic: string): boolean {
    return (this.#resting.get(topic) ?? 0) > performance.now()
  }

  async #isThere(topic: string): Promise<boolean> {
    if (this.#there === undefined || this.#there.until < performance.now()) {
      const topics = new Set(await this.#parts.admin.topics())
      this.#there = { topics, until: performance.now() + LIST_MILLISECONDS }
    }
    return this.#there.topics.has(topic)
  }
}

const bytesOf = ({ key, value }: OutgoingRecord): number => (value?.length ?? 0) + (key?.length ?? 0) + HEADERS_BYTES

const says = (error: unknown, words: RegExp): boolean => words.test(kafkaWord(error) ?? '')
