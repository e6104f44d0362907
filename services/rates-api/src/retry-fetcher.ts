import { type KafkaSettings } from '@rates/service/kafka'
import { connectFetcher, NoSuchPlace, type Fetcher } from '@rates/service/kafka-fetch'
import { Problem } from './problem.ts'
import { kafkaAway } from './retry-refusals.ts'

/** A caller waits no longer to hear that Kafka is away. */
const CONNECT_MS = 5000

/** A fetcher for one request, whose faults are told as Problems. @throws Problem 503, the signal's reason */
export async function connectForRetry(kafka: KafkaSettings, signal: AbortSignal): Promise<Fetcher> {
  const asProblem = (error: unknown): never => {
    signal.throwIfAborted()
    if (error instanceof Problem || error instanceof NoSuchPlace) throw error
    const { type } = error as { type?: string }
    if (type !== 'TOPIC_AUTHORIZATION_FAILED') throw kafkaAway()
    throw new Problem(503, "Kafka does not let the API read the batches' topics: its user needs Read on them.")
  }
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(kafkaAway()), CONNECT_MS)
  try {
    const fetcher = await connectFetcher(kafka, AbortSignal.any([signal, over.signal])).catch(asProblem)
    return {
      ends: (topic) => fetcher.ends(topic).catch(asProblem),
      offsetsAt: (topic, time) => fetcher.offsetsAt(topic, time).catch(asProblem),
      fetch: (from, maxBytes) => fetcher.fetch(from, maxBytes).catch(asProblem),
      close: () => fetcher.close(),
    }
  } finally {
    clearTimeout(timer)
  }
}
