import { idByPlace } from '@rates/core/wire'
import { failpoint } from '@rates/service/failpoints'
import { type IncomingRecord, type OutgoingRecord } from '@rates/service/kafka'
import { Stopped, type RecordContext } from '@rates/service/kafka-consumer'
import { type Logger } from '@rates/service/log'
import { waitOut } from '@rates/service/wait-out'
import { type ClaimStore } from './claim-store.ts'
import { isWaitedFor, type FreshAnswer, type QueryAnswerer } from './query-answerer.ts'
import { type NotedAnswer, type QueryAnswers } from './query-answers.ts'
import { readQuery, type AnswerTopics, type QueryMessage } from './query-message.ts'
import { type QueryMetrics } from './query-metrics.ts'
import { type QuerySender } from './query-sender.ts'
import { type Slots } from './slots.ts'

export interface LotParts {
  topics: AnswerTopics
  answerer: QueryAnswerer
  answers: QueryAnswers
  sender: QuerySender
  claims: Pick<ClaimStore, 'seal'>
  /** Queries of all partitions that are worked on side by side. */
  slots: Slots
  /** Whether the group has committed a record of ours: another process went on from there, while we were not looking. */
  hasGoneOn: (record: IncomingRecord) => Promise<boolean>
  /** Whether there is time left to go on with what was fetched, though the process stops. */
  mayFinish: () => boolean
  metrics: QueryMetrics
  log: Logger
}

/** A lot ends with the first of these: queries, bytes of their answers, milliseconds. */
const LOT = { queries: 100, bytes: 256 * 1024, milliseconds: 10_000 }
/** A lot that took longer may be of a process that stood still: answers are forgotten after a quarter of an hour. */
const LONG_MILLISECONDS = 5 * 60_000

/** An answer that is ready; with what it was made of where it is new. */
interface Ready {
  record: IncomingRecord
  answer: NotedAnswer
  fresh?: FreshAnswer
}

/**
 * Answers what was fetched of a partition, a lot at a time, in these steps: which answers stand already; the others are
 * made side by side; they are noted, all in one transaction; all are sent, in the order of the queries. Only what is
 * noted is sent, so a lot that is taken again, here or in another process, gets the same bytes.
 */
export class QueryLots {
  readonly #parts: LotParts

  constructor(parts: LotParts) {
    this.#parts = parts
  }

  /** @throws Stopped, or what waiting does not mend */
  async take(records: readonly IncomingRecord[], { signal }: Pick<RecordContext, 'signal'>): Promise<void> {
    const { topics, metrics, sender, mayFinish, log } = this.#parts
    let left = records.map((record) => ({ record, message: readQuery(record, topics) }))
    metrics.inFlight.inc(left.length)
    try {
      while (left.length > 0) {
        if (signal.aborted && !mayFinish()) throw new Stopped()
        failpoint('took-query')
        const lot = left.slice(0, LOT.queries)
        const patience = { signal, log, passes: isWaitedFor }
        const noted = await waitOut('queries', () => this.#answer(lot), patience)
        failpoint('noted-answer')
        const outgoing = noted.map(toSend)
        await sender.send(outgoing, signal)
        failpoint('sent-answer')
        for (const [i, answer] of noted.entries()) metrics.sent(lot[i]!.message, answer, lot[i]!.record.timestamp)
        metrics.inFlight.dec(noted.length)
        left = left.slice(noted.length)
      }
    } finally {
      metrics.inFlight.dec(left.length)
    }
  }

  /** @returns the answers to the first of them, in their order: one at least */
  async #answer(lot: readonly { record: IncomingRecord; message: QueryMessage }[]): Promise<NotedAnswer[]> {
    const { answers, claims, hasGoneOn, metrics } = this.#parts
    const began = Date.now()
    const ready = await this.#make(lot)
    const fresh = ready.filter((each) => each.fresh !== undefined)
    if (fresh.length === 0) return ready.map(({ answer }) => answer)
    if (Date.now() - began > LONG_MILLISECONDS && (await hasGoneOn(fresh[0]!.record))) {
      throw new Error('another process has answered these queries')
    }
    let claimed = 0
    const noted = await answers.note(fresh, async (client, offsets) => {
      const used = fresh.flatMap(({ answer, fresh }) => (offsets.has(answer.offset) ? (fresh?.claim ?? []) : []))
      claimed = used.length
      await claims.seal(client, used)
    })
    metrics.claims.inc(claimed)
    const standing = new Map(noted.map((answer) => [answer.offset, answer]))
    return ready.map(({ answer }) => standing.get(answer.offset) ?? answer)
  }

  async #make(lot: readonly { record: IncomingRecord; message: QueryMessage }[]): Promise<Ready[]> {
    const { answers, answerer, slots } = this.#parts
    const began = performance.now()
    const standing = await answers.find(
      lot.map(({ record }) => record),
      LOT.bytes,
    )
    const ready: Promise<Ready>[] = []
    let bytes = 0
    let failed = false
    const isFull = (): boolean =>
      failed || (ready.length > 0 && (bytes >= LOT.bytes || performance.now() - began > LOT.milliseconds))
    for (const { record, message } of lot) {
      const stands = standing.get(record.offset)
      if (stands === 'later' || isFull()) break
      if (stands !== undefined) {
        bytes += stands.body.length
        ready.push(Promise.resolve({ record, answer: stands }))
        continue
      }
      await slots.take()
      if (isFull()) {
        slots.giveBack() // what was made meanwhile is enough
        break
      }
      const making = answerer
        .answer(message)
        .then((fresh) => {
          bytes += fresh.body.length
          return { record, answer: toNote(record, message, fresh), fresh }
        })
        .catch((error: unknown) => {
          failed = true
          throw error
        })
        .finally(() => slots.giveBack())
      ready.push(making)
    }
    await Promise.allSettled(ready) // of those that go on nobody would know
    return Promise.all(ready)
  }
}

/** The same each time: the table gives headers back in another order than it was given. */
function toSend({ replyTopic, key, headers, body }: NotedAnswer): OutgoingRecord {
  const sorted = Object.entries(headers).sort(([a], [b]) => (a < b ? -1 : 1))
  return { topic: replyTopic, key, headers: Object.fromEntries(sorted), value: body }
}

function toNote(record: IncomingRecord, { replyTopic, key, headers }: QueryMessage, fresh: FreshAnswer): NotedAnswer {
  const { status, contentType, body } = fresh
  return {
    offset: record.offset,
    replyTopic,
    key: key && Buffer.from(key),
    headers: {
      'reply-id': `${idByPlace(record)}/answer`,
      status: String(status),
      'content-type': contentType,
      ...headers,
    },
    body,
  }
}
