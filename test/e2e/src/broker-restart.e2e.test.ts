import { afterEach, describe, expect, it } from '@jest/globals'
import { testBatch } from '@rates/testing/batches'
import { succeeded } from '@rates/testing/line'
import { holdPacks, startWorkerProcess } from '@rates/testing/workers'
import { finalFacts, inTheMiddle, produce, startOwnServers, type OwnServers } from './own-servers.ts'

let servers: OwnServers
afterEach(() => servers.stop())

describe('a broker that restarts in the middle of a batch of 1 000 000 rows', () => {
  it.each(['SIGTERM', 'SIGKILL'] as const)(
    '(%s) loses and doubles nothing',
    async (signal) => {
      servers = await startOwnServers()
      const { line, kafka } = servers
      const batch = testBatch(1_000_000, { sorted: true })
      const workers = await Promise.all([startWorkerProcess(line), startWorkerProcess(line)])
      const packs = await holdPacks(line)
      await produce(line, batch)
      await packs.waiting(2)
      await packs.release()
      expect(await inTheMiddle(line, batch, 3)).toBe(true)
      await kafka.kill(signal)
      await kafka.startAgain()
      expect(await finalFacts(line, batch)).toEqual(succeeded(batch))
      // Whoever could not go on ended by itself, to be started again; nobody hangs.
      for (const worker of workers) {
        worker.signal('SIGTERM')
        expect((await worker.exited).signal).toBeNull()
      }
    },
    240_000,
  )
})
