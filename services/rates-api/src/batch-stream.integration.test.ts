import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { revertIn } from '@rates/service/ledger/revert'
import { withTransaction } from '@rates/service/postgres'
import { eventually } from '@rates/testing/eventually'
import { startFaultProxy, type FaultProxy } from '@rates/testing/fault-proxy'
import { sum } from '@rates/testing/metrics-text'
import { createTestDatabase, type TestDatabase } from '@rates/testing/postgres'
import { batchSchema } from './schemas.ts'
import { startTestApp, type TestApp } from './test-app.ts'
import { Events } from './test-events.ts'
import { endTestBatch, openTestBatch, storeTestChunk } from './test-ledger.ts'

let api: TestApp
beforeAll(async () => {
  api = await startTestApp()
})
afterAll(() => api.close())

const streams: Events[] = []
async function open(path: string, headers?: Record<string, string>): Promise<Events> {
  const stream = await Events.open(api.url + path, headers)
  streams.push(stream)
  return stream
}
afterEach(async () => {
  streams.splice(0).forEach((stream) => stream.close())
  await eventually(async () => sum(await api.metrics(), 'rates_watchers') === 0, { what: 'all being let go' })
})

/** Ended batches of long ago, as far as the numbers tell. */
const crowd = (count: number): Promise<unknown> =>
  api.pool.query(
    `insert into batches (id, state, finished_at) select 'crowd-' || gen_random_uuid(), 'succeeded', now()
     from generate_series(1, $1)`,
    [count],
  )

const revert = (id: string): Promise<unknown> =>
  withTransaction(api.pool, (client) => revertIn(client, id, false, 7)).then((reverted) =>
    expect(reverted.kind).toBe('reverted'),
  )

describe('the stream of one batch', () => {
  it('says how it is to be read', async () => {
    const { response, seen } = await open('/batches/nobody')
    expect(response.statusCode).toBe(200)
    expect(response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      vary: 'accept',
    })
    await eventually(() => Promise.resolve(seen.length > 1))
    expect(seen).toEqual([
      { event: 'retry', data: '1000' },
      { event: 'ready', data: '{}' }, // there is none
    ])
  })

  it('tells all that happens to it, from before it is there until after its outcome', async () => {
    const stream = await open('/batches/life?format=events', {})
    await stream.got('retry')
    const no = await openTestBatch(api.pool, 'life', { source: 'acme' })
    await stream.batch(({ state }) => state === 'pending')
    for (let chunk = 0; chunk < 3; chunk++) {
      await storeTestChunk(api.pool, no, chunk, { total: 3 })
      await stream.batch(({ chunks }) => chunks.done === chunk + 1)
    }
    await endTestBatch(api.pool, no)
    await stream.batch(({ state }) => state === 'succeeded')
    await revert('life')
    const last = await stream.batch(({ state }) => state === 'reverted')
    expect((await api.get('/batches/life')).body).toEqual(batchSchema.parse(last))
    expect([...new Set(stream.states('life'))]).toEqual(['pending', 'in_progress', 'succeeded', 'reverted'])
    expect(stream.seen.slice(0, 3).map(({ event }) => event)).toEqual(['retry', 'ready', 'batch'])
    expect(stream.seen.slice(3).every(({ event }) => event === 'batch')).toBe(true)
    expect(stream.hasEnded).toBe(false)
  })

  it('begins with the batch as it is', async () => {
    await openTestBatch(api.pool, 'done', { state: 'failed', error: { code: 'incomplete', message: 'm' } })
    const stream = await open('/batches/done')
    await stream.got('batch')
    expect(stream.batches).toEqual([(await api.get('/batches/done')).body])
    await stream.got('ready')
    expect(stream.seen.map(({ event }) => event)).toEqual(['retry', 'batch', 'ready'])
  })

  it.each(['before', 'after'])('ends with an outcome that came %s, if it is asked to', async (when) => {
    const no = await openTestBatch(api.pool, `until-${when}`, when === 'before' ? { state: 'succeeded' } : {})
    const stream = await open(`/batches/until-${when}?until=outcome`)
    await stream.got('batch')
    if (when === 'after') {
      expect(stream.hasEnded).toBe(false)
      await endTestBatch(api.pool, no, 'cancelled')
    }
    await stream.ended
    expect(stream.seen.at(-1)).toEqual({ event: 'end', data: '{}' })
    expect(stream.states(`until-${when}`).at(-1)).toBe(when === 'before' ? 'succeeded' : 'cancelled')
  })

  it('does not tell of a dry run, nor of another batch', async () => {
    const stream = await open('/batches/alone')
    await openTestBatch(api.pool, 'alone', { dryRun: true })
    await openTestBatch(api.pool, 'alone-2')
    await openTestBatch(api.pool, 'alone')
    await stream.got('batch')
    expect(stream.batches).toMatchObject([{ id: 'alone', dryRun: false }])
    const dry = await open('/batches/alone?dryRun=true')
    await dry.got('batch')
    expect(dry.batches).toMatchObject([{ id: 'alone', dryRun: true }])
  })

  it.each([
    ['/batches/x?until=noon', 400],
    ["/batches/o'clock", 404],
    ['/batches/x?format=xml', 400],
  ])('is refused for %s', async (path, status) => {
    expect(await api.get(path, { accept: 'text/event-stream' })).toMatchObject({
      status,
      type: expect.stringContaining('application/problem+json'),
    })
  })
})

describe('the stream of all batches', () => {
  let stream: Events
  let openOne: bigint
  beforeAll(async () => {
    openOne = await openTestBatch(api.pool, 'old-and-open')
    await openTestBatch(api.pool, 'old-original', { state: 'succeeded', source: 's' })
    await openTestBatch(api.pool, 'old-replacement', { state: 'succeeded', source: 's', replaces: 'old-original' })
    await api.pool.query(
      `update batches set state = 'replaced', replaced_by = 'old-replacement' where id = 'old-original'`,
    )
    await openTestBatch(api.pool, 'old', { state: 'succeeded' })
    await openTestBatch(api.pool, 'old-untouched', { state: 'succeeded' })
    await crowd(300)
    await storeTestChunk(api.pool, openOne, 0)
    // It was hidden a moment ago, which a stream that begins now need not tell.
    await api.pool.query(`update batches set hidden_at = hidden_at - interval '1 hour' where hidden_at is not null`)
  })
  beforeEach(async () => {
    stream = await open('/batches')
    await stream.got('ready')
  })

  const told = (): string[] => {
    const ready = stream.seen.findIndex(({ event }) => event === 'ready')
    return stream.seen
      .slice(ready + 1)
      .filter(({ event }) => event === 'batch')
      .map(({ data }) => (JSON.parse(data) as { id: string }).id)
      .filter((id) => !(id === 'old-and-open')) // whose expected end moves
  }

  it('begins with the open batches and the newest, the oldest first, and says so', async () => {
    const at = stream.seen.findIndex(({ event }) => event === 'ready')
    expect(stream.seen.slice(0, at + 1).map(({ event }) => event)).toEqual([
      'retry',
      ...Array.from({ length: at - 1 }, () => 'batch'),
      'ready',
    ])
    const { rows } = await api.pool.query<{ id: string }>(
      `select id from batches where state = 'open' or no > (select no from batches order by no desc offset 50 limit 1)
       order by no`,
    )
    const ids = stream.batches.slice(0, at - 1).map(({ id }) => id)
    expect(ids).toEqual(rows.map(({ id }) => id))
    expect(ids).toContain('old-and-open')
    expect(ids.length).toBeGreaterThan(50)
    stream.batches.forEach((batch) => batchSchema.parse(batch))
  })

  it('tells of a batch that is opened, loads and ends', async () => {
    const no = await openTestBatch(api.pool, 'new', { dryRun: true })
    await stream.batch(({ id, state }) => id === 'new' && state === 'pending')
    await storeTestChunk(api.pool, no, 0, { total: 2 })
    await stream.batch(({ id, progress }) => id === 'new' && progress === 0.5)
    await endTestBatch(api.pool, no, 'failed')
    await stream.batch(({ id, state }) => id === 'new' && state === 'failed')
    await api.pool.query('update batches set purged_at = now() where no = $1', [no])
    await stream.batch(({ id, purgedAt }) => id === 'new' && purgedAt !== null)
  })

  it('tells of batches that are opened and ended in one instant, however many', async () => {
    await crowd(700)
    await eventually(() => Promise.resolve(new Set(told()).size === 700), { what: 'all of them being told' })
    expect(told()).toHaveLength(700)
  })

  it('tells of an old batch that is reverted, and of the one that is shown again for that', async () => {
    await revert('old')
    await stream.batch(({ id, state, hiddenAt }) => id === 'old' && state === 'reverted' && hiddenAt !== null)
    await revert('old-replacement')
    await stream.batch(({ id, state }) => id === 'old-replacement' && state === 'reverted')
    await stream.batch(({ id, state, hiddenAt }) => id === 'old-original' && state === 'succeeded' && hiddenAt === null)
    expect(told()).toEqual(['old', 'old-original', 'old-replacement'])
  })

  it('tells of a batch that was there long before its transaction ended', async () => {
    await withTransaction(api.pool, async (writer) => {
      await openTestBatch(writer, 'late', { state: 'succeeded' })
      for (let round = 1; round <= 4; round++) {
        await crowd(300)
        await eventually(() => Promise.resolve(new Set(told()).size === 300 * round), { what: 'others being told' })
      }
      expect(told()).not.toContain('late')
    })
    await stream.batch(({ id }) => id === 'late')
  })

  it('tells of an old batch that ends', async () => {
    await endTestBatch(api.pool, openOne)
    await stream.batch(({ id, state }) => id === 'old-and-open' && state === 'succeeded')
  })

  it('tells that an old batch is purged whose end it has told, and what becomes of it before that', async () => {
    for (const state of ['failed', 'cancelled', 'succeeded'] as const) {
      const id = `purged-${state}`
      const no = await openTestBatch(api.pool, id)
      await crowd(300)
      await stream.batch((batch) => batch.id === id)
      await endTestBatch(api.pool, no, state)
      await stream.batch((batch) => batch.id === id && batch.state === state)
      if (state === 'succeeded') {
        await revert(id)
        await stream.batch((batch) => batch.id === id && batch.state === 'reverted')
        // It was a while ago: what was hidden of late is looked at anyway.
        await api.pool.query(`update batches set hidden_at = hidden_at - interval '1 hour' where no = $1`, [no])
      }
      await crowd(300)
      const looks = stream.batches.length
      await eventually(() => Promise.resolve(stream.batches.length >= looks + 300), { what: 'the others being told' })
      await api.pool.query('update batches set purged_at = now() where no = $1', [no])
      await stream.batch((batch) => batch.id === id && batch.purgedAt !== null)
    }
  })

  it('tells nothing where nothing happens, also while others follow old batches', async () => {
    const other = await open('/batches/old-untouched')
    await other.got('batch')
    const seen = stream.seen.length
    await openTestBatch(api.pool, 'last', { state: 'succeeded' })
    await stream.batch(({ id }) => id === 'last')
    await crowd(1)
    await eventually(() => Promise.resolve(told().length >= 2))
    expect(stream.seen.length).toBe(seen + 2)
  })

  it('tells the present state to each that comes', async () => {
    const later = await open('/batches')
    await later.got('ready')
    expect(later.batches.map(({ id }) => id)).toContain('last')
    expect(later.states('last')).toEqual(['succeeded'])
  })

  it.each([
    ['state=pending', 'state: a stream is of all batches'],
    ['source=a&limit=5', 'source, limit: a stream is of all batches'],
    ['until=outcome', 'until: is not a time'],
  ])('takes no filter: %s', async (query, detail) => {
    const { status, body } = await api.get(`/batches?${query}&format=events`)
    expect(status).toBe(400)
    expect((body as { detail: string }).detail).toContain(detail)
  })

  it('is JSON for whoever asks for that first, or for nothing', async () => {
    for (const accept of ['*/*', 'application/json, text/event-stream', 'image/png']) {
      expect((await api.get('/batches', { accept })).type).toContain('application/json')
    }
    expect((await api.get('/batches?format=json', { accept: 'text/event-stream' })).type).toContain('application/json')
  })
})

describe('while PostgreSQL is away', () => {
  let database: TestDatabase
  let proxy: FaultProxy
  let away: TestApp
  beforeAll(async () => {
    database = await createTestDatabase()
    proxy = await startFaultProxy(database.url)
    away = await startTestApp({ DATABASE_URL: proxy.url })
  })
  afterAll(async () => {
    await away.close()
    await proxy.close()
    await database.drop()
  })

  it('streams and waits stay, and go on afterwards', async () => {
    const no = await openTestBatch(api.pool, 'elsewhere') // so that numbers differ
    expect(no).toBeGreaterThan(0n)
    const one = await openTestBatch(away.pool, 'one')
    const all = await Events.open(`${away.url}/batches`)
    const stream = await Events.open(`${away.url}/batches/one`)
    await all.got('ready')
    await stream.got('batch')
    const asked = fetch(`${away.url}/batches/one?wait=30s`)
    await eventually(async () => sum(await away.metrics(), 'rates_watchers', { kind: 'wait' }) === 1)
    proxy.down()
    const failed = await fetch(`${away.url}/batches/one`)
    expect(failed.status).toBe(503)
    await eventually(() => Promise.resolve(proxy.refused() >= 4), { what: 'trying again' })
    proxy.up()
    await eventually(() => endTestBatch(away.pool, one, 'failed').then(() => true))
    expect(await (await asked).json()).toMatchObject({ id: 'one', state: 'failed' })
    await stream.batch(({ state }) => state === 'failed')
    await all.batch(({ id, state }) => id === 'one' && state === 'failed')
    expect([all.hasEnded, stream.hasEnded]).toEqual([false, false])
    all.close()
    stream.close()
  })
})
