import { once } from 'node:events'
import { get, request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { json } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { chunkRecords, testBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { startLine, type Line } from '@rates/testing/line'
import { startApiProcess, startWorkerProcess } from '@rates/testing/workers'
import { Events } from './test-events.ts'
import { openTestBatch } from './test-ledger.ts'

let line: Line
beforeAll(async () => {
  line = await startLine()
})
afterAll(() => line.close())

const seconds = (since: number): number => (performance.now() - since) / 1000

describe('the API told to stop while callers follow batches', () => {
  it('answers waits with what is, ends streams, and is not longer about it', async () => {
    const api = await startApiProcess(line, { DRAIN_DELAY_SECONDS: '4', DRAIN_SECONDS: '60' })
    await openTestBatch(line.pool, 'loads')
    const all = await Events.open(`${api.url}/batches`)
    const one = await Events.open(`${api.url}/batches/loads`)
    await all.got('ready')
    await one.got('batch')
    const waits = ['loads', 'unseen'].map((id) => once(get(`${api.url}/batches/${id}?wait=60s`), 'response'))
    const complete = request(`${api.url}/batches/loads/complete?chunks=2&wait=60s`, { method: 'POST' }).end()
    waits.push(once(complete, 'response'))
    // A reader that takes nothing holds nobody up either.
    const mute = connect(Number(new URL(api.url).port), '127.0.0.1').pause()
    mute.write('GET /batches?format=events HTTP/1.1\r\nhost: x\r\n\r\n')
    mute.on('error', () => undefined)
    const { managementPort } = await api.said('listening')
    const metrics = `http://127.0.0.1:${String(managementPort)}/metrics`
    const following = (): Promise<string> => fetch(metrics).then((answer) => answer.text())
    await eventually(
      async () => /kind="wait"} 3\n/.test(await following()) && /kind="stream"} 3\n/.test(await following()),
      { what: 'all six following' },
    )

    const asked = performance.now()
    api.signal('SIGTERM')
    await api.said('stopping')
    // They would come again, and to here, as long as balancers do not know of it.
    const late = await Events.open(`${api.url}/batches/loads`)
    await late.got('batch')
    expect([all.hasEnded, one.hasEnded]).toEqual([false, false])

    await Promise.all([all.ended, one.ended, late.ended])
    for (const { seen } of [all, one, late]) expect(seen.at(-1)).toEqual({ event: 'retry', data: '1000' })
    const [loads, unseen, incomplete] = (await Promise.all(waits)).map(([response]) => response as IncomingMessage)
    expect([loads!.statusCode, loads!.headers['retry-after'], loads!.headers.connection]).toEqual([200, '1', 'close'])
    expect(await json(loads!)).toMatchObject({ id: 'loads', state: 'pending' })
    expect([unseen!.statusCode, unseen!.headers['retry-after']]).toEqual([404, '1'])
    expect(await json(unseen!)).toMatchObject({ code: 'not_seen_yet' })
    expect([incomplete!.statusCode, incomplete!.headers['retry-after']]).toEqual([503, '2'])
    expect(incomplete!.headers.connection).toBe('close')
    expect(await api.exited).toEqual({ code: 0, signal: null })
    expect(seconds(asked)).toBeLessThan(30) // of 64 that it may take
    mute.destroy()
  })
})

describe('a load that is followed', () => {
  it('is told as it goes on, without a step back', async () => {
    const api = await startApiProcess(line)
    await startWorkerProcess(line)
    const batch = testBatch(60_000)
    const records = await chunkRecords(line.topics.bulk, { batchId: batch.id }, batch.lines, { chunks: 30 })
    const one = await Events.open(`${api.url}/batches/${batch.id}?until=outcome`)
    const all = await Events.open(`${api.url}/batches`)
    await all.got('ready')
    const waited = once(get(`${api.url}/batches/${batch.id}?wait=60s`), 'response')
    for (let from = 0; from < 30; from += 3) {
      await line.send(records.slice(from, from + 3).reverse())
      await one.batch(({ chunks }) => chunks.done >= from + 3, 30_000)
    }
    await one.ended
    const [answer] = (await waited) as [IncomingMessage]
    expect(await json(answer)).toMatchObject({ state: 'succeeded', progress: 1, rows: { accepted: 60_000 } })
    await all.batch(({ id, state }) => id === batch.id && state === 'succeeded')
    for (const stream of [one, all]) {
      const told = stream.batches.filter(({ id }) => id === batch.id)
      const steps = told.map(({ progress, chunks, rows }) => [progress ?? 0, chunks.done, rows.accepted])
      for (const measure of [0, 1, 2]) {
        const values = steps.map((step) => step[measure]!)
        expect(values).toEqual([...values].sort((a, b) => a - b))
      }
      expect(told.length).toBeGreaterThanOrEqual(10)
      expect(told.at(-1)).toMatchObject({ state: 'succeeded', progress: 1, chunks: { done: 30, expected: 30 } })
    }
    all.response.destroy()
  })
})
