import { afterEach, describe, expect, it } from '@jest/globals'
import { fetchPostgres } from '@rates/local/postgres-binaries'
import { testBatch } from '@rates/testing/batches'
import { succeeded } from '@rates/testing/facts'
import { startApiProcess, startWorkerProcess } from '@rates/testing/workers'
import { finalFacts, produce, startOwnServers, type OwnServers } from './own-servers.ts'

let servers: OwnServers
afterEach(() => servers.stop())

describe('PostgreSQL 13.5, the oldest', () => {
  it('is migrated, takes a batch and answers with its rates', async () => {
    servers = await startOwnServers({ binaries: await fetchPostgres('13.5.0') })
    const { line, postgres } = servers
    expect(postgres.version).toMatch(/^13\.5/)
    const batch = testBatch(200_000)
    await produce(line, batch)
    const [, , api] = await Promise.all([startWorkerProcess(line), startWorkerProcess(line), startApiProcess(line)])
    expect(await finalFacts(line, batch)).toEqual(succeeded(batch))

    const days = Array.from({ length: 28 }, (_, i) => `${batch.month}-${String(28 - i).padStart(2, '0')}`)
    const expected = days.map((day) => {
      const prices = batch.lines
        .filter((each) => each.startsWith(`CNGGZ,NLRTM,${day},`))
        .map((each) => Number(each.slice(23)))
      const sum = prices.reduce((all, price) => all + price, 0)
      return { day, count: prices.length, price: prices.length < 3 ? null : sum / prices.length }
    })
    const query = `date_from=${days.at(-1)}&date_to=${days[0]}&orig_code=CNGGZ&dest_code=NLRTM`
    const answer = (await (await fetch(`${api.url}/rates?${query}`)).json()) as unknown
    expect(answer).toEqual({ rates: expected })
  }, 240_000)
})
