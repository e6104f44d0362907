import { connectProducer, type IncomingRecord, type KafkaSettings, type Producer } from '@rates/service/kafka'
import { tailTopic, type Tail } from '@rates/service/kafka-consumer'
import { withAdmin } from './brokers.ts'
import { CommandFailure, EXIT } from './exit.ts'

export interface Conversation {
  /** Topics that have to be there beside those that are listened to. */
  needs: readonly string[]
  /** What is listened to. */
  replies: Iterable<string>
  /** Takes every record of them that comes from now on, others' too. */
  take: (record: IncomingRecord) => void
}

/**
 * The connections over which a command sends records and hears the answers. Nothing is sent before the reply topics are
 * listened to: an answer that comes at once is heard too.
 */
export class ReplySession {
  /** Resolves when everything is connected. @throws CommandFailure where topics are missing; faults of Kafka */
  readonly ready: Promise<void>
  /** Sends once everything is ready. */
  readonly producer: Producer
  /** True as soon as a record may have reached Kafka. */
  attempted = false
  private readonly connected: Promise<Producer>
  private readonly tails: Promise<Tail>[] = []

  constructor(kafka: KafkaSettings, { needs, replies, take }: Conversation) {
    this.connected = connectProducer(kafka)
    const heard = new Set(replies)
    const checked = requireTopics(kafka, new Set([...needs, ...heard]))
    for (const topic of heard) {
      // Where topics are missing, that is told by name instead of by the tail's fault.
      this.tails.push(checked.then(() => tailTopic(kafka, topic, take)))
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
