import { TEST_PORTS, type TestBatch } from '@rates/testing/batches'
import { type Line } from '@rates/testing/line'
import { startBatches, type BatchLoad } from './batches.ts'
import { month, remembered, type Memory } from './load-batch.ts'
import { startLoadProcess, type Load } from './load-process.ts'

export const READS = { rate: 50, connections: 8 }
export const UPLOADS = { rate: 1 }
export const BATCHES = { rate: 2, largeEvery: 10, largeRows: 200_000 }

/** In a sentence, for the report. */
export const LOAD =
  `${READS.rate} reads a second over ${READS.connections} keep-alive connections; ${UPLOADS.rate} upload a second of 1 to 5 000 rows, ` +
  `one in ten of them over three seconds; ${BATCHES.rate} Kafka batches a second of 1 to 20 000 rows, and one of ` +
  `200 000 every ${BATCHES.largeEvery} s`

export interface ConstantLoad {
  reads: Load
  uploads: Load
  batches: BatchLoad
  /** Everything that Kafka or the API has acknowledged. */
  accepted: TestBatch[]
  stop(): Promise<void>
}

/** From outside the cluster: reads and uploads through the Service's NodePort, batches through the brokers' listener. */
export function startConstantLoad(url: string, line: Line): ConstantLoad {
  const accepted: TestBatch[] = []
  const accept = (batch: TestBatch): void => void accepted.push(batch)
  const reads = startLoadProcess('reader', { url, ...READS, paths: readPaths() })
  const uploads = startLoadProcess<Memory>('uploader', { url, ...UPLOADS }, (memory) => accept(remembered(memory)))
  const batches = startBatches(line, { ...BATCHES, accepted: accept })
  return {
    reads,
    uploads,
    batches,
    accepted,
    async stop() {
      await Promise.all([uploads.stop(), batches.stop()])
      await reads.stop()
    },
  }
}

/** A month of one pair each, among those that the small batches are of. */
function readPaths(): string[] {
  return Array.from({ length: 600 }, (_, i) => {
    const [orig, dest] = [TEST_PORTS[i % 20]!, TEST_PORTS[(i + 1 + (i % 19)) % 20]!]
    const of = month(2000, i % 60)
    return `/rates?date_from=${of}-01&date_to=${of}-28&orig_code=${orig}&dest_code=${dest}`
  })
}
