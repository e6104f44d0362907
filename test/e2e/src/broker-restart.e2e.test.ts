import { afterEach, describe, expect, it } from '@jest/globals'
import { succeeded } from '@rates/testing/facts'
import { finalFacts, loadToTheMiddle, startOwnServers, type OwnServers } from './own-servers.ts'

let servers: OwnServers
afterEach(() => servers.stop())

describe('a broker that restarts in the middle of a batch of 1 000 000 rows', () => {
  it.each(['SIGTERM', 'SIGKILL'] as const)(
    '(%s) loses and doubles nothing',
    async (signal) => {
      servers = await startOwnServers()
      const { line, kafka } = servers
      const { batch, workers } = await loadToTheMiddle(servers)
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
