import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { grant } from '@rates/db/grants'
import { asMigrator } from '@rates/db/migrate'
import { csv, testBatch } from '@rates/testing/batches'
import { coordinate } from '@rates/testing/coordinate'
import { eventually } from '@rates/testing/eventually'
import { expectInvariants } from '@rates/testing/invariants'
import { startLine, type Line } from '@rates/testing/line'
import { startApiProcess, startWorkerProcess, type ServiceProcess } from '@rates/testing/workers'
import { cancellingOverHttp, revertingOverHttp, scenarios, together, type Scenario } from './kill-scenarios.ts'

// Worker and API with roles of their own, which have no more than the grants of the migration Job: all that they do,
// nobody is killed.

const mark = randomBytes(4).toString('hex')
const roles = { ingest: `ingest_${mark}`, api: `api_${mark}` }

async function asSuperuser(...statements: string[]): Promise<void> {
  await asMigrator(coordinate('RATES_TEST_DATABASE_URL'), async (client) => {
    for (const statement of statements) await client.query(statement)
  })
}
beforeAll(() => asSuperuser(...Object.values(roles).map((role) => `create role ${role} login password 'secret'`)))
afterAll(() => asSuperuser(...Object.values(roles).map((role) => `drop role ${role}`)))

/** The line as a process sees it that logs in by the role. */
function as(role: string, line: Line): Line {
  const url = new URL(line.databaseUrl)
  url.username = role
  url.password = 'secret'
  return { ...line, databaseUrl: url.href }
}

const refusals = ({ logged }: ServiceProcess): unknown[] =>
  logged.filter((each) => JSON.stringify(each).includes('permission denied'))

async function withGrants(work: (line: Line) => Promise<void>): Promise<void> {
  const line = await startLine({ partitions: 2 })
  try {
    await asMigrator(line.databaseUrl, (client) => grant(client, { ingest: [roles.ingest], api: [roles.api] }))
    await work(line)
  } finally {
    await line.close()
  }
}

async function play({ process: kind, settings = {}, prepare, act, sent, healed }: Scenario): Promise<void> {
  await withGrants(async (line) => {
    const ingest = as(roles.ingest, line)
    await prepare?.(ingest)
    const doer =
      kind === 'api' ? await startApiProcess(as(roles.api, line)) : await startWorkerProcess(ingest, settings)
    await act(ingest, 'url' in doer ? (doer.url as string) : '')
    for (const { batch, state } of sent) if (state !== 'forgotten') await line.reply(batch.id, 60_000)
    await healed?.(line)
    await expectInvariants(line, sent, { within: 60_000 })
    expect(refusals(doer)).toEqual([])
  })
}

/** The API itself takes the batch out of merged packs; a worker is there for the rest. */
function revertingMergedOverHttp(): Scenario {
  const { prepare, settings, sent, watches } = scenarios['inside-take-out']()
  const [first, ...others] = sent.map(({ batch }) => ({ batch }))
  return {
    process: 'api',
    async prepare(line) {
      await prepare?.(line)
      await startWorkerProcess(line, settings)
    },
    async act(_, url) {
      const { status } = await fetch(`${url}/batches/${first!.batch.id}/revert`, { method: 'POST' })
      expect(status).toBe(200)
    },
    sent: [{ ...first!, state: 'reverted' }, ...others],
    watches,
  }
}

const played: [string, () => Scenario][] = [
  ['a small batch', scenarios['inside-small']],
  ['a batch of chunks', scenarios['inside-chunk']],
  ['chunks together', together],
  ['a batch that replaces another', scenarios['inside-replace']],
  ['a cancelled batch', scenarios['inside-end']],
  ['a reverted replacement', scenarios['inside-revert']],
  ['a dead letter', scenarios['refused-record']],
  ['a webhook', scenarios['webhook-taken']],
  ['merging', scenarios['inside-merge']],
  ['reverting what is merged', scenarios['inside-take-out']],
  ['purging', scenarios['inside-purge']],
  ['retention of prices', scenarios['inside-trim']],
  ['retention of the ledger', scenarios['inside-forget']],
  ['an upload', scenarios['sent-upload']],
  ['reverting over HTTP', () => revertingOverHttp('reverted')],
  ['reverting what is merged over HTTP', revertingMergedOverHttp],
  ['cancelling over HTTP', cancellingOverHttp],
]

describe('roles with the grants of their part', () => {
  it.concurrent.each(played)('may do all of it: %s', (_, scenario) => play(scenario()), 120_000)

  it.concurrent(
    'may serve all that the API has',
    () =>
      withGrants(async (line) => {
        const worker = await startWorkerProcess(as(roles.ingest, line))
        const api = await startApiProcess(as(roles.api, line))
        const call = async (
          method: string,
          path: string,
          body?: string,
          type = 'application/json',
        ): Promise<number> => {
          const headers = body === undefined ? {} : { 'content-type': type, 'idempotency-key': 'key' }
          const answer = await fetch(api.url + path, { method, headers, ...(body !== undefined && { body }) })
          await answer.arrayBuffer()
          return answer.status
        }
        await api.said('started')
        expect(await call('PUT', '/regions/elsewhere', '{"name":"Elsewhere","parent":"world"}')).toBe(201)
        expect(await call('PUT', '/ports/ZZNEW', '{"name":"New","region":"elsewhere"}')).toBe(201)
        expect(await call('POST', '/ports', 'code,name,parent_slug\nZZNEW,Newer,elsewhere\n', 'text/csv')).toBe(200)
        const { id, lines, month } = testBatch(300)
        const upload = (): Promise<number> => call('POST', `/batches?id=${id}`, csv(lines).toString(), 'text/csv')
        expect(await upload()).toBe(202)
        await line.reply(id)
        expect(await upload()).toBe(200) // by its key
        expect(await call('PUT', '/batches/in-chunks')).toBe(201)
        expect(await call('PUT', '/batches/in-chunks/chunks/0', csv(lines).toString(), 'text/csv')).toBe(202)
        expect(await call('POST', '/batches/in-chunks/complete?chunks=1')).toBe(202)
        await line.reply('in-chunks')
        expect(await call('POST', '/batches/in-chunks/revert')).toBe(200)
        expect(await call('POST', '/batches/in-chunks/retry')).toBe(202)
        await line.reply('in-chunks.retry-1')
        const [orig, dest] = lines[0]!.split(',')
        const days = `date_from=${month}-01&date_to=${month}-28`
        for (const path of [
          `/rates?${days}&orig_code=${orig}&dest_code=${dest}&explain=true`,
          `/rates?${days}&orig_code=world&dest_code=${dest}`,
          ...['/ports', '/regions', '/batches?state=succeeded', `/batches/${id}`, `/batches/${id}/errors`, '/docs'],
          '/batches/in-chunks/chunks',
          '/bottleneck',
        ]) {
          expect([path, await call('GET', path)]).toEqual([path, 200])
        }
        await breakUpload(api.url, line)
        expect([refusals(worker), refusals(api)]).toEqual([[], []])
      }),
    120_000,
  )
})

/** An upload that breaks cancels its batch and gives its key back. */
async function breakUpload(url: string, line: Line): Promise<void> {
  const headers = { 'content-type': 'text/csv', 'batch-id': 'broken', 'idempotency-key': 'broken' }
  const broken = request(`${url}/batches`, { method: 'POST', headers })
  broken.on('error', () => undefined)
  broken.write('CNGGZ,NLRTM,2150-01-01,1\n')
  const count = async (sql: string): Promise<boolean> => (await line.pool.query(sql)).rowCount === 1
  await eventually(() => count(`select from uploads where idempotency_key = 'broken'`), { what: 'the upload' })
  broken.destroy()
  await eventually(() => count(`select from batches where id = 'broken' and state = 'cancelled'`), { what: 'its end' })
  await eventually(async () => !(await count(`select from uploads where idempotency_key = 'broken'`)), {
    what: 'its key being free',
  })
}
