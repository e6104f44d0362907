import { Counter, Gauge, type Registry } from 'prom-client'
import { Problem } from './problem.ts'

/** `repeated`: it came before, by the same key or as the same chunk; `refused`: the caller's fault; `failed`: ours, or Kafka's. */
type Outcome = 'accepted' | 'repeated' | 'refused' | 'failed'

export type UploadMetrics = ReturnType<typeof uploadMetrics>

export function uploadMetrics(registry: Registry) {
  const registers = [registry]
  const bytes = new Counter({
    name: 'rates_api_upload_bytes_total',
    help: 'Bytes of uploads as they came.',
    registers,
  })
  const uploads = new Counter({
    name: 'rates_api_uploads_total',
    help: 'Uploads by their answer.',
    labelNames: ['outcome'],
    registers,
  })
  const going = new Gauge({ name: 'rates_api_uploads_in_progress', help: 'Uploads that are going on.', registers })
  const chunks = new Counter({
    name: 'rates_api_chunks_total',
    help: 'Chunks of resumable uploads by their answer.',
    labelNames: ['outcome'],
    registers,
  })
  const chunksGoing = new Gauge({ name: 'rates_api_chunks_in_progress', help: 'Chunks that are going on.', registers })
  return {
    going,
    ...answers(uploads),
    chunks: { going: chunksGoing, ...answers(chunks) },
    /** Counts what comes of one upload, or of a chunk, while it comes: for readBody() and readBytes(). */
    received(): { bytes: number } {
      let sum = 0
      return {
        get bytes() {
          return sum
        },
        set bytes(now) {
          bytes.inc(now - sum)
          sum = now
        },
      }
    },
  }
}

function answers(counter: Counter<'outcome'>) {
  const count = (outcome: Outcome): void => counter.inc({ outcome })
  for (const outcome of ['accepted', 'repeated', 'refused', 'failed']) counter.inc({ outcome }, 0)
  return {
    answered: (repeated: boolean): void => count(repeated ? 'repeated' : 'accepted'),
    threw: (error: unknown): void => count(error instanceof Problem && error.status < 500 ? 'refused' : 'failed'),
  }
}
