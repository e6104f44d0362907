import { afterEach, describe, expect, it } from '@jest/globals'
import { testBatch } from '@rates/testing/batches'
import { succeeded } from '@rates/testing/line'
import { holdPacks, startWorkerProcess } from '@rates/testing/workers'
import { finalFacts, inTheMiddle, produce, startOwnServers, type OwnServers } from './own-servers.ts'

let servers: OwnServers
afterEach(() => servers.stop())

describe('a PostgreSQL that restarts in the middle of a batch of 1 000 000 rows', () => {
  it.each([
    ['fast', 'SIGINT'],
    ['immediate', 'SIGQUIT'],
  ] as const)(
    '(%s) loses and doubles nothing, and no worker ends',
    async (_, signal) => {
      servers = await startOwnServers()
      const { line, postgres } = servers
      const batch = testBatch(1_000_000, { sorted: true })
      const workers = await Promise.all([startWorkerProcess(line), startWorkerProcess(line)])
      const packs = await holdPacks(line)
      await produce(line, batch)
      await packs.waiting(2)
      await packs.release()
      expect(await inTheMiddle(line, batch, 3)).toBe(true)
      await postgres.kill(signal)
      await postgres.startAgain()
      expect(await finalFacts(line, batch)).toEqual(succeeded(batch))
      for (const worker of workers) {
        worker.signal('SIGTERM')
        expect(await worker.exited).toEqual({ code: 0, signal: null })
      }
    },
    240_000,
  )
})
