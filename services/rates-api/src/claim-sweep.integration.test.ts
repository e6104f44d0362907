import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { sum } from '@rates/testing/metrics-text'
import { PART_BYTES } from './claim-parts.ts'
import { ClaimStore } from './claim-store.ts'
import { ClaimSweep } from './claim-sweep.ts'
import { startTestApp, type TestApp } from './test-app.ts'
import { claimContent, inPieces, putSealed } from './test-claims.ts'

// Of two processes.
let api: TestApp
let other: TestApp

beforeAll(async () => {
  api = await startTestApp()
  other = await startTestApp({ DATABASE_URL: api.databaseUrl })
})
afterAll(async () => {
  await other.close()
  await api.close()
})
beforeEach(() => api.pool.query('delete from claims'))

const sweep = (app = api): Promise<void> => app.app.get(ClaimSweep).round()
const status = async ({ id }: { id: string }): Promise<number> => (await fetch(`${api.url}/claims/${id}`)).status
const partsOf = async ({ id }: { id: string }): Promise<number> =>
  (await api.pool.query('select from claim_parts where claim_id = $1', [id])).rowCount!
const ages = async (id: string, column: string, interval: string): Promise<void> => {
  await api.pool.query(`update claims set ${column} = now() - $2::interval where id = $1`, [id, interval])
}
const removed = async (app: TestApp, reason: string): Promise<number> =>
  sum(await app.metrics(), 'rates_claims_removed_total', { reason })

describe('the sweep', () => {
  it('removes what expired, says so for seven days, and forgets it', async () => {
    const [kept, gone] = [await putSealed(api, claimContent(10)), await putSealed(api, claimContent(3 * PART_BYTES))]
    await ages(gone.id, 'expires_at', '4 minutes')
    await sweep()
    expect([await partsOf(kept), await partsOf(gone)]).toEqual([1, 3]) // who reads it still has its time
    await ages(gone.id, 'expires_at', '6 minutes')
    await sweep()
    expect([await partsOf(kept), await partsOf(gone)]).toEqual([1, 0])
    await ages(gone.id, 'removed_at', '167 hours')
    await sweep()
    expect([await status(kept), await status(gone)]).toEqual([200, 410])
    await ages(gone.id, 'removed_at', '169 hours')
    await sweep()
    expect([await status(kept), await status(gone)]).toEqual([200, 404])
    const metrics = await api.metrics()
    expect([sum(metrics, 'rates_claims_kept'), sum(metrics, 'rates_claims_kept_bytes')]).toEqual([1, 10])
  })

  it('removes what nobody sealed within an hour', async () => {
    const claims = api.app.get(ClaimStore)
    const put = () => claims.put(inPieces(claimContent(PART_BYTES + 1)), { contentType: 'text/csv' })
    const [young, old, sealed] = [await put(), await put(), await putSealed(api, claimContent(10))]
    await ages(young.id, 'created_at', '59 minutes')
    await ages(old.id, 'created_at', '61 minutes')
    await ages(sealed.id, 'created_at', '61 minutes')
    const before = await removed(api, 'abandoned')
    await sweep()
    expect([await partsOf(young), await partsOf(old), await partsOf(sealed)]).toEqual([2, 0, 1])
    expect(await removed(api, 'abandoned')).toBe(before + 1)
  })

  it('of two processes at once removes each claim once, and waits for none that is being sealed', async () => {
    for (let i = 0; i < 30; i++) await ages((await putSealed(api, claimContent(10))).id, 'expires_at', '1 day')
    const claims = api.app.get(ClaimStore)
    const sealing = await claims.put(inPieces(claimContent(10)), { contentType: 'text/csv' })
    await ages(sealing.id, 'created_at', '2 hours')
    const before = (await removed(api, 'expired')) + (await removed(other, 'expired'))
    const client = await api.pool.connect()
    try {
      await client.query('begin')
      await claims.seal(client, [sealing])
      await Promise.all([sweep(api), sweep(other), sweep(other)])
      await client.query('commit')
    } finally {
      client.release()
    }
    await sweep()
    expect((await removed(api, 'expired')) + (await removed(other, 'expired'))).toBe(before + 30)
    expect(await status(sealing)).toBe(200)
    const { rows } = await api.pool.query('select count(*) filter (where removed_at is null) as kept from claims')
    expect(rows).toEqual([{ kept: 1n }])
  })
})
