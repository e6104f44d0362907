import { cancelBatch } from '@rates/service/produce-batch'
import { connectProducer, type KafkaSettings, type Producer } from '@rates/service/kafka'
import { tailTopic, type Tail } from '@rates/service/kafka-consumer'
import { topicNames, type TopicNames } from '@rates/service/topics'
import { type BatchHeaders } from '@rates/core/wire'
import { withAdmin } from './brokers.ts'
import { CommandFailure, EXIT } from './exit.ts'
import { ReplyInbox } from './reply-inbox.ts'

/**
 * The connections that one batch is sent over. Nothing is sent before the reply topics are listened to: a reply that
 * comes at once is heard too.
 */
export class BatchSession {
  readonly topics: TopicNames
  readonly inbox: ReplyInbox
  /** Resolves when everything is connected. @throws CommandFailure where topics are missing; faults of Kafka */
  readonly ready: Promise<void>
  /** Sends once everything is ready. */
  readonly producer: Producer
  /** True as soon as a record may have reached Kafka. */
  attempted = false
  private readonly batch: BatchHeaders
  private readonly connected: Promise<Producer>
  private readonly tails: Promise<Tail>[] = []

  constructor(kafka: KafkaSettings, prefix: string, batch: BatchHeaders, wait: boolean) {
    this.batch = batch
    this.topics = topicNames(prefix)
    this.inbox = new ReplyInbox(batch.batchId, batch.dryRun ?? false)
    this.connected = connectProducer(kafka)
    // A reply-to that is not allowed is answered on the platform's own topic.
    const replies = wait ? new Set([this.topics.replies, batch.replyTo ?? this.topics.replies]) : []
    const checked = requireTopics(kafka, new Set([...Object.values(this.topics), ...replies]))
    for (const topic of replies) {
      // Where topics are missing, that is told by name instead of by the tail's fault.
      this.tails.push(checked.then(() => tailTopic(kafka, topic, this.inbox.take)))
    }
    this.ready = Promise.all([checked, this.connected, ...this.tails]).then(() => undefined)
    this.ready.catch(() => undefined) // whoever waits for it, or sends, hears of it
    this.producer = {
      send: async (records) => {
        await this.ready
        const producer = await this.connected
        this.attempted = true
        await producer.send(records)
      },
      close: () => this.close(),
    }
  }

  /** Ends the batch if it has not ended. */
  async cancel(): Promise<void> {
    await cancelBatch(this.producer, this.topics, this.batch)
  }

  async close(): Promise<void> {
    const tails = this.tails.map((tail) => tail.then((each) => each.close()))
    await Promise.allSettled([this.connected.then((producer) => producer.close()), ...tails])
  }
}

async function requireTopics(kafka: KafkaSettings, names: ReadonlySet<string>): Promise<void> {
  const there = new Set(await withAdmin(kafka, (admin) => admin.topics()))
  const missing = [...names].filter((name) => !there.has(name))
  if (missing.length === 0) return
  const said = `Kafka at ${kafka.brokers.join(', ')} has no topic ${missing.join(', ')}`
  throw new CommandFailure(EXIT.unreachable, `${said}; "rates topics" creates the platform's own.`)
}
