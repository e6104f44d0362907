import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { json } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { eventually } from '@rates/testing/eventually'
import { sum } from '@rates/testing/metrics-text'
import { batchSchema } from './schemas.ts'
import { startTestApp, type TestApp } from './test-app.ts'
import { Events } from './test-events.ts'
import { endTestBatch, openTestBatch, storeTestChunk } from './test-ledger.ts'

let api: TestApp
beforeAll(async () => {
  api = await startTestApp({ WATCHERS_AT_ONCE: '4' })
})
afterAll(() => api.close())

const watchers = async (kind: 'wait' | 'stream'): Promise<number> =>
  sum(await api.metrics(), 'rates_watchers', { kind })

/** Until so many wait, or follow. */
const watching = (kind: 'wait' | 'stream', count: number): Promise<true> =>
  eventually(async () => (await watchers(kind)) === count, { every: 10, what: `${count} watchers of kind ${kind}` })

interface Answer {
  status: number
  retryAfter: string | null
  body: unknown
  seconds: number
}

/** On a connection of its own, which ends with the signal. */
async function ask(path: string, signal?: AbortSignal): Promise<Answer> {
  const began = performance.now()
  const request = get(api.url + path, { agent: false, ...(signal && { signal }) })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const body: unknown = await json(response)
  const seconds = (performance.now() - began) / 1000
  return { status: response.statusCode!, retryAfter: response.headers['retry-after'] ?? null, body, seconds }
}

describe('GET /batches/:id?wait=', () => {
  it.each(['succeeded', 'failed', 'cancelled'] as const)('answers once the batch has %s', async (state) => {
    const no = await openTestBatch(api.pool, `wait-${state}`)
    const asked = ask(`/batches/wait-${state}?wait=1m`)
    await watching('wait', 1)
    await storeTestChunk(api.pool, no, 0, { total: 1 })
    await endTestBatch(api.pool, no, state)
    const { status, retryAfter, body } = await asked
    expect({ status, retryAfter }).toEqual({ status: 200, retryAfter: null })
    expect(batchSchema.parse(body)).toMatchObject({ state, chunks: { done: 1, expected: 1 } })
    expect(await watchers('wait')).toBe(0)
  })

  it('answers after the time with what is, and says when to ask again', async () => {
    const no = await openTestBatch(api.pool, 'loads')
    await storeTestChunk(api.pool, no, 0, { total: 2 })
    const { status, retryAfter, body, seconds } = await ask('/batches/loads?wait=400ms')
    expect({ status, retryAfter }).toEqual({ status: 200, retryAfter: '1' })
    expect(batchSchema.parse(body)).toMatchObject({ state: 'in_progress', progress: 0.5 })
    expect(seconds).toBeGreaterThanOrEqual(0.4)
    expect(await watchers('wait')).toBe(0)
  })

  it('answers at once where there is nothing to wait for', async () => {
    await openTestBatch(api.pool, 'over', { state: 'failed' })
    expect(await ask('/batches/over?wait=60s')).toMatchObject({ status: 200, retryAfter: null })
    expect(await ask('/batches/loads')).toMatchObject({ status: 200, retryAfter: '1' })
    expect(await ask('/batches/loads?wait=0s')).toMatchObject({ status: 200, retryAfter: '1' })
  })

  it('waits for a batch that was not seen yet', async () => {
    const asked = ask('/batches/unseen?wait=30s')
    await watching('wait', 1)
    await openTestBatch(api.pool, 'unseen', { state: 'succeeded' })
    expect(await asked).toMatchObject({ status: 200, body: { id: 'unseen', state: 'succeeded' } })
  })

  it.each(['/batches/never', '/batches/never?wait=200ms', '/batches/loads?dryRun=true'])(
    'tells of %s that it was not seen yet',
    async (path) => {
      const { status, retryAfter, body } = await ask(path)
      expect({ status, retryAfter }).toEqual({ status: 404, retryAfter: '1' })
      expect(body).toMatchObject({ status: 404, code: 'not_seen_yet', detail: expect.stringMatching(/^There is no/) })
    },
  )

  it('does not wait for what cannot be an id', async () => {
    const { status, retryAfter, body } = await ask("/batches/o'clock?wait=30s")
    expect({ status, retryAfter }).toEqual({ status: 404, retryAfter: null })
    expect(body).not.toHaveProperty('code')
  })

  it('waits for a dry run and not for the batch of its id', async () => {
    const real = await openTestBatch(api.pool, 'both')
    const dry = await openTestBatch(api.pool, 'both', { dryRun: true })
    let answered = false
    const asked = ask('/batches/both?dryRun=true&wait=30s').finally(() => (answered = true))
    const askedReal = ask('/batches/both?wait=30s')
    await watching('wait', 2)
    await endTestBatch(api.pool, real)
    expect((await askedReal).body).toMatchObject({ dryRun: false, state: 'succeeded' })
    expect(answered).toBe(false)
    await endTestBatch(api.pool, dry, 'failed')
    expect((await asked).body).toMatchObject({ dryRun: true, state: 'failed' })
  })

  it.each([
    ['30', 'is not a time as 500ms, 30s or 1m'],
    ['-1s', 'is not a time'],
    ['1.5s', 'is not a time'],
    ['1h', 'is not a time'],
    ['61s', 'is more than 60s'],
    ['2m', 'is more than 60s'],
    ['60001ms', 'is more than 60s'],
  ])('refuses wait=%s', async (wait, rule) => {
    const { status, body } = await ask(`/batches/loads?wait=${wait}`)
    expect(status).toBe(400)
    expect((body as { detail: string }).detail).toContain(`wait: ${rule}`)
  })

  it('lets go of a caller who leaves', async () => {
    const caller = new AbortController()
    const asked = ask('/batches/loads?wait=60s', caller.signal)
    await watching('wait', 1)
    caller.abort()
    await expect(asked).rejects.toThrow()
    await watching('wait', 0)
  })

  it('does not count the time that was waited for as its own', async () => {
    const labels = { http_route: '/batches/:id' }
    const before = await api.metrics()
    const no = await openTestBatch(api.pool, 'slow')
    const stream = await Events.open(`${api.url}/batches/slow?until=outcome`)
    await ask('/batches/slow?wait=4s')
    await endTestBatch(api.pool, no)
    await stream.ended
    const metric = 'http_server_request_duration_seconds'
    const grown = async (name: string): Promise<number> =>
      sum(await api.metrics(), name, labels) - sum(before, name, labels)
    await eventually(async () => (await grown(`${metric}_count`)) === 2, { what: 'both being counted' })
    expect(await grown(`${metric}_sum`)).toBeLessThan(3)
  })
})

describe('more watchers than there may be', () => {
  it('get 503 until one leaves', async () => {
    const leaving = new AbortController()
    const waits = ['a', 'b'].map((id) => ask(`/batches/${id}?wait=60s`, leaving.signal))
    const streams = [await Events.open(`${api.url}/batches`), await Events.open(`${api.url}/batches/loads`)]
    await watching('wait', 2)
    expect(await watchers('stream')).toBe(2)
    const refused = await ask('/batches/c?wait=1s')
    expect(refused).toMatchObject({
      status: 503,
      retryAfter: '5',
      body: { detail: '4 callers wait or follow batches already.' },
    })
    expect(await ask('/batches?format=events')).toMatchObject({ status: 503, retryAfter: '5' })
    expect(await ask('/batches/loads')).toMatchObject({ status: 200 }) // it does not wait
    leaving.abort()
    await Promise.allSettled(waits)
    await watching('wait', 0)
    expect(await ask('/batches/c?wait=100ms')).toMatchObject({ status: 404 })
    streams.forEach((stream) => stream.close())
    await watching('stream', 0)
  })

  it('are not those who only ask for the headers of a stream', async () => {
    for (let i = 0; i < 6; i++) {
      const { status, headers } = await fetch(`${api.url}/batches?format=events`, { method: 'HEAD' })
      expect([status, headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
    }
    await watching('stream', 0)
  })
})
