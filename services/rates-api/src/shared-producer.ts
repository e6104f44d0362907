import { connectProducer, type KafkaSettings, type OutgoingRecord, type Producer } from '@rates/service/kafka'
import { Problem } from './problem.ts'

/** A caller waits no longer for Kafka than this; connecting goes on for the next one. */
const CONNECT_MS = 5000
/**
 * Nor than this for an acknowledgement: a broker that vanishes with its network lets a request hang for half a minute, and
 * callers give up before. What arrives all the same is a chunk of a batch that was cancelled, or one that comes again.
 */
const SEND_MS = 20_000

export const kafkaAway = (): Problem =>
  new Problem(503, 'Kafka cannot be reached: no upload can be taken, reads go on.', { headers: { 'retry-after': '5' } })

/**
 * One producer for all uploads, connected by the first. One that failed to send is not used by anybody new: a new one
 * tells within seconds whether Kafka is there, before a batch is opened.
 */
export class SharedProducer {
  readonly #connect: () => Promise<Producer>
  readonly #sendMs: number
  #current: Promise<Producer> | undefined
  readonly #all = new Set<Producer>()

  constructor(settings: KafkaSettings, connect = connectProducer, sendMs = SEND_MS) {
    this.#connect = () => connect(settings)
    this.#sendMs = sendMs
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
          await inTime(this.#sendMs, producer.send(records))
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

async function inTime(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no acknowledgement within ${ms} ms`)), ms)
  })
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
