import { afterEach, describe, expect, it } from '@jest/globals'
import { testBatch } from '@rates/testing/batches'
import { succeeded } from '@rates/testing/facts'
import { isBuilt, startWorkerProcess } from '@rates/testing/workers'
import { readFile } from 'node:fs/promises'
import { finalFacts, produce, startOwnServers, type OwnServers } from './own-servers.ts'

let servers: OwnServers
afterEach(() => servers.stop())

const LIMIT = 256 << 20

/** The most memory that the process has ever had resident, in bytes (Linux only). */
async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}

describe('memory', () => {
  it.each([
    ['1 row', 1, {}],
    ['1 000 000 rows in order of pairs', 1_000_000, { sorted: true }],
    ['1 000 000 rows in no order', 1_000_000, {}],
  ])(
    'of each worker stays under 256 MiB for a batch of %s',
    async (_, rows, order) => {
      servers = await startOwnServers({ partitions: 12 })
      const { line } = servers
      expect(isBuilt('ingest')).toBe(true) // what is loaded from source takes more: npm run build
      const batch = testBatch(rows, order)
      await produce(line, batch)
      const workers = await Promise.all([startWorkerProcess(line), startWorkerProcess(line)])
      expect(await finalFacts(line, batch)).toEqual(succeeded(batch))
      for (const { pid } of workers) expect(await peakMemory(pid)).toBeLessThan(LIMIT)
      const { rows: sampled } = await line.pool.query<{ peak: bigint }>(
        'select max(peak_memory) as peak from batch_chunks',
      )
      expect(Number(sampled[0]!.peak)).toBeLessThan(LIMIT)
      for (const worker of workers) {
        worker.signal('SIGTERM')
        expect(await worker.exited).toEqual({ code: 0, signal: null })
      }
    },
    240_000,
  )
})
