import { idByPlace } from '@rates/core/wire'
import { failpoint } from '@rates/service/failpoints'
import { type IncomingRecord, type OutgoingRecord } from '@rates/service/kafka'
import { Stopped, type AllContext } from '@rates/service/kafka-consumer'
import { type Logger } from '@rates/service/log'
import { waitOut } from '@rates/service/wait-out'
import { type Claim, type ClaimStore } from './claim-store.ts'
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
  claims: Pick<ClaimStore, 'seal' | 'discard'>
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

interface Query {
  record: IncomingRecord
  message: QueryMessage
}

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
  async take(records: readonly IncomingRecord[], { signal, done }: Pick<AllContext, 'signal' | 'done'>): Promise<void> {
    const { topics, metrics, sender, mayFinish } = this.#parts
    let at = 0
    metrics.inFlight.inc(records.length)
    try {
      while (at < records.length) {
        if (signal.aborted && !mayFinish()) throw new Stopped()
        failpoint('took-query')
        // Not all at once: a fetch may have very many that are very small.
        const next = records.slice(at, at + LOT.queries)
        const lot = next.map((record) => ({ record, message: readQuery(record, topics) }))
        const noted = await this.#answered(lot, signal)
        failpoint('noted-answer')
        const outgoing = noted.map(toSend)
        await sender.send(outgoing, signal)
        failpoint('sent-answer')
        for (const [i, answer] of noted.entries()) metrics.sent(lot[i]!.message, answer, lot[i]!.record.timestamp)
        metrics.inFlight.dec(noted.length)
        at += noted.length
        await done(records[at - 1]!)
      }
    } finally {
      metrics.inFlight.dec(records.length - at)
    }
  }

  /** Waits until there are answers. One that is waited for is tried by itself: others would be made each time, and lost. */
  #answered(lot: readonly Query[], signal: AbortSignal): Promise<NotedAnswer[]> {
    let most = lot.length
    const work = (): Promise<NotedAnswer[]> => {
      const some = lot.slice(0, most)
      most = 1
      return this.#answer(some)
    }
    return waitOut('queries', work, { signal, log: this.#parts.log, passes: isWaitedFor })
  }

  /** @returns the answers to the first of them, in their order: one at least */
  async #answer(lot: readonly Query[]): Promise<NotedAnswer[]> {
    const { answers, claims, hasGoneOn, metrics } = this.#parts
    const began = Date.now()
    const ready = await this.#make(lot)
    const fresh = ready.filter((each) => each.fresh !== undefined)
    if (fresh.length === 0) return ready.map(({ answer }) => answer)
    let unused = claimsOf(fresh) // if this fails all, else those to whose answers another process was first
    try {
      if (Date.now() - began > LONG_MILLISECONDS && (await hasGoneOn(fresh[0]!.record))) {
        throw new Error('another process has answered these queries')
      }
      let lost: Claim[] = []
      const noted = await answers.note(fresh, async (client, offsets) => {
        await claims.seal(client, claimsOf(fresh.filter(({ answer }) => offsets.has(answer.offset))))
        lost = claimsOf(fresh.filter(({ answer }) => !offsets.has(answer.offset)))
      })
      metrics.claims.inc(unused.length - lost.length)
      unused = lost
      const standing = new Map(noted.map((answer) => [answer.offset, answer]))
      return ready.map(({ answer }) => standing.get(answer.offset) ?? answer)
    } finally {
      await claims.discard(unused)
    }
  }

  /** @returns those before the first that has to wait. @throws what is waited for, where that is the first of all */
  async #make(lot: readonly Query[]): Promise<Ready[]> {
    const { answers, answerer, slots, claims } = this.#parts
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
    const made = await Promise.allSettled(ready) // of those that go on nobody would know
    const waits = made.findIndex(({ status }) => status === 'rejected')
    if (waits < 0) return Promise.all(ready)
    const behind = made.slice(waits).flatMap((each) => (each.status === 'fulfilled' ? each.value : []))
    await claims.discard(claimsOf(behind))
    if (waits === 0) throw (made[0] as PromiseRejectedResult).reason as Error
    return Promise.all(ready.slice(0, waits))
  }
}

const claimsOf = (ready: readonly Ready[]): Claim[] => ready.flatMap(({ fresh }) => fresh?.claim ?? [])

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
