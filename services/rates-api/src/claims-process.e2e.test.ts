import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createLogger } from '@rates/service/log'
import { withTransaction } from '@rates/service/postgres'
import { eventually } from '@rates/testing/eventually'
import { startLine, type Line } from '@rates/testing/line'
import { startApiProcess } from '@rates/testing/workers'
import { Registry } from 'prom-client'
import { type Claim } from './claim-store.ts'
import { makeClaims } from './claims.ts'
import { readSettings } from './config.ts'
import { bodyOf, claimContent, inPieces, pausedReader, sha256Of } from './test-claims.ts'

let line: Line
beforeAll(async () => {
  line = await startLine()
})
afterAll(() => line.close())

/** What another process has put away. */
async function put(bytes: number): Promise<Claim> {
  const settings = readSettings({ DATABASE_URL: line.databaseUrl, KAFKA_BROKERS: '127.0.0.1:1' })
  const parts = { pool: line.pool, settings, registry: new Registry(), log: createLogger('test', 'fatal') }
  const { claims } = makeClaims(parts)
  const claim = await claims.put(inPieces(claimContent(bytes)), { contentType: 'text/csv' })
  await withTransaction(line.pool, (client) => claims.seal(client, [claim]))
  return claim
}

describe('a process of the API', () => {
  it('removes what expired of its own accord, and lets who reads finish when it is told to stop', async () => {
    const [expired, large] = [await put(10), await put(20 << 20)]
    await line.pool.query("update claims set expires_at = now() - interval '1 day' where id = $1", [expired.id])
    const api = await startApiProcess(line)
    await eventually(async () => {
      const parts = await line.pool.query('select from claim_parts where claim_id = $1', [expired.id])
      return parts.rowCount === 0
    })
    const reader = await pausedReader(`${api.url}/claims/${large.id}`)
    api.signal('SIGTERM')
    await api.said('stopping')
    expect(sha256Of(await bodyOf(reader))).toBe(large.sha256)
    expect(await api.exited).toEqual({ code: 0, signal: null })
  })
})
