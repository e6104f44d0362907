import { connectProducer, type KafkaSettings, type OutgoingRecord, type Producer } from '@rates/service/kafka'
import { Problem } from './problem.ts'

/** A caller waits no longer for Kafka than this; connecting goes on for the next one. */
const CONNECT_MS = 5000

export const kafkaAway = (): Problem =>
  new Problem(503, 'Kafka cannot be reached: no upload can be taken, reads go on.', { headers: { 'retry-after': '5' } })

/**
 * One producer for all uploads, connected by the first. One that failed to send is not used by anybody new: a new one
 * tells within seconds whether Kafka is there, before a batch is opened.
 */
export class SharedProducer {
  readonly #connect: () => Promise<Producer>
  #current: Promise<Producer> | undefined
  readonly #all = new Set<Producer>()

  constructor(settings: KafkaSettings, connect = connectProducer) {
    this.#connect = () => connect(settings)
  }

  /** @throws Problem 503 */
  async acquire(): Promise<Producer> {
    const connecting = (this.#current ??= this.#open())
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(kafkaAway()), CONNECT_MS)
    })
    try {
      return await Promise.race([connecting, late])
    } catch {
      throw kafkaAway()
    } finally {
      clearTimeout(timer)
    }
  }

  async #open(): Promise<Producer> {
    const opening = this.#connect()
    opening.catch(() => {
      this.#current = undefined
    })
    const producer = await opening
    this.#all.add(producer)
    return {
      send: async (records: OutgoingRecord[]) => {
        try {
          await producer.send(records)
        } catch (cause) {
          this.#current = undefined
          throw new SendFailed(cause)
        }
      },
      close: () => Promise.resolve(), // it is shared
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#all].map((producer) => producer.close()))
  }
}

/** Kafka did not acknowledge records. */
export class SendFailed extends Error {
  constructor(cause: unknown) {
    super('Kafka did not acknowledge', { cause })
    this.name = 'SendFailed'
  }
}
