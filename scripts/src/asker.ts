import { randomBytes } from 'node:crypto'
import { type KafkaSettings, type OutgoingRecord } from '@rates/service/kafka'
import { topicNames } from '@rates/service/topics'
import { AnswerInbox, type Answer } from './answer-inbox.ts'
import { ReplySession } from './reply-session.ts'

/** Of queries that are sent together: on one partition they are one record batch, of which brokers take 1 MB. */
const TOGETHER_BYTES = 500_000
/** Kafka would refuse what is larger; the platform takes much less, and says so. */
export const MAX_QUERY_BYTES = TOGETHER_BYTES

interface Together {
  records: OutgoingRecord[]
  bytes: number
  sent: Promise<void>
}

/** Sends queries and hears their answers. */
export class Asker {
  /** Resolves when it can ask. @throws CommandFailure where topics are missing; faults of Kafka */
  readonly ready: Promise<void>
  private readonly session: ReplySession
  private readonly inbox: AnswerInbox
  private readonly topic: string
  private readonly replyTo: string | undefined
  private readonly run = randomBytes(12).toString('base64url')
  private asked = 0
  /** What is sent next: those that are asked while others are being sent go together. */
  private next: Together | undefined
  private last: Promise<void>

  constructor(kafka: KafkaSettings, prefix: string, replyTo: string | undefined, waitSeconds: number) {
    const { queries, replies } = topicNames(prefix)
    this.topic = queries
    this.replyTo = replyTo
    this.inbox = new AnswerInbox(waitSeconds * 1000)
    // A reply-to that is not allowed is answered on the platform's own topic.
    const heard = [replies, replyTo ?? replies]
    this.session = new ReplySession(kafka, { needs: [queries], replies: heard, take: this.inbox.take })
    this.ready = this.last = this.session.ready
  }

  /** @returns undefined where no answer came in time @throws faults of Kafka */
  async ask(query: Uint8Array): Promise<Answer | undefined> {
    const id = `ask-${this.run}-${this.asked++}`
    const { answer, startClock } = this.inbox.expect(id)
    const headers = { 'correlation-id': id, ...(this.replyTo !== undefined && { 'reply-to': this.replyTo }) }
    await this.send({ topic: this.topic, headers, value: query })
    startClock()
    return answer
  }

  close(): Promise<void> {
    return this.session.close()
  }

  private send(record: OutgoingRecord): Promise<void> {
    const { length } = record.value!
    if (!this.next || this.next.bytes + length > TOGETHER_BYTES) {
      const together: Together = { records: [], bytes: 0, sent: this.last.then(() => this.sendTogether(together)) }
      this.next = together
      this.last = together.sent
    }
    this.next.records.push(record)
    this.next.bytes += length
    return this.next.sent
  }

  private async sendTogether(together: Together): Promise<void> {
    if (this.next === together) this.next = undefined
    await this.session.producer.send(together.records)
  }
}
