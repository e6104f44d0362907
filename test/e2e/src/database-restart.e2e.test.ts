import { afterEach, describe, expect, it } from '@jest/globals'
import { succeeded } from '@rates/testing/facts'
import { finalFacts, loadToTheMiddle, startOwnServers, type OwnServers } from './own-servers.ts'

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
      const { batch, workers } = await loadToTheMiddle(servers)
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
