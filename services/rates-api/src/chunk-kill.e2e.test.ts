import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { testBatch, type TestBatch } from '@rates/testing/batches'
import { factsOf, settled, succeeded } from '@rates/testing/facts'
import { startLine, type Line } from '@rates/testing/line'
import { startApiProcess, startWorkerProcess } from '@rates/testing/workers'
import { ChunkClient, partsOf } from './test-chunks.ts'

let line: Line
beforeAll(async () => {
  line = await startLine()
  await startWorkerProcess(line)
})
afterAll(() => line.close())

async function hasSucceeded(batch: TestBatch, chunks: number): Promise<void> {
  await line.reply(batch.id)
  expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  const { rows } = await line.pool.query<{ n: number }>(
    'select count(*)::int as n from batch_chunks c join batches b on b.no = c.batch_no where id = $1',
    [batch.id],
  )
  expect(rows).toEqual([{ n: chunks }])
  expect(await line.deadLetters(batch.id)).toEqual([])
}

describe('an API that dies in the middle of a batch', () => {
  it('has lost nothing that it acknowledged, and another one goes on', async () => {
    const batch = testBatch(40_000)
    const parts = partsOf(batch, 8)
    // It dies when Kafka has the third chunk, before its sender is told.
    const [dying, other] = await Promise.all([
      startApiProcess(line, { FAILPOINTS: 'sent-chunk@3' }),
      startApiProcess(line),
    ])
    const client = new ChunkClient(dying.url)
    expect((await client.open(batch.id)).status).toBe(201)
    expect(await client.putAll(batch.id, parts.slice(0, 1))).toEqual([202])
    expect(await client.putAll(batch.id, parts.slice(1, 2))).toEqual([202])
    await expect(client.putAll(batch.id, parts.slice(2, 3))).rejects.toThrow()
    expect(await dying.exited).toMatchObject({ signal: 'SIGKILL' })

    client.url = other.url
    expect((await client.open(batch.id)).status).toBe(200)
    // What was acknowledged is not sent again, what was not is: that Kafka had it does not matter.
    for (const status of await client.putAll(batch.id, parts.slice(2))) expect([200, 202]).toContain(status)
    expect(await client.complete(batch.id, 8, '&wait=1m')).toMatchObject({ status: 202, body: { chunks: 9 } })
    await hasSucceeded(batch, 9)
    await settled(line)
  })

  it('while many are sent at once: the sender knows which are to be sent again', async () => {
    const batch = testBatch(100_000)
    const parts = partsOf(batch, 30)
    const [dying, other] = await Promise.all([startApiProcess(line), startApiProcess(line)])
    const client = new ChunkClient(dying.url)
    await client.open(batch.id)
    const headers = { chunks: '30' }
    const acknowledged = new Set<number>()
    await Promise.allSettled(
      parts.slice(0, 15).map(async (part, i) => {
        if (i === 14) await dying.exited // however fast it was with the others
        const [status] = await client.putAll(batch.id, [part], headers)
        if (status === 202) acknowledged.add(part.chunk)
        dying.signal('SIGKILL') // at the first that was acknowledged
      }),
    )
    expect(acknowledged.size).toBeGreaterThan(0)
    expect(acknowledged.size).toBeLessThan(15)
    client.url = other.url
    const left = parts.filter(({ chunk }) => !acknowledged.has(chunk))
    for (let from = 0; from < left.length; from += 8) {
      const statuses = await client.putAll(batch.id, left.slice(from, from + 8), headers)
      for (const status of statuses) expect([200, 202]).toContain(status)
    }
    expect((await client.complete(batch.id, 30, '&wait=1m')).body).toMatchObject({ chunks: 30 })
    await hasSucceeded(batch, 30)
  })
})

describe('an API that is told to stop in the middle of a batch', () => {
  it('takes the chunk that it has begun with, and ends well; another one goes on', async () => {
    const batch = testBatch(1_000)
    const [first, second] = partsOf(batch, 2)
    const [leaving, other] = await Promise.all([startApiProcess(line), startApiProcess(line)])
    const client = new ChunkClient(leaving.url)
    await client.open(batch.id)
    const request = httpRequest(`${leaving.url}/batches/${batch.id}/chunks/0`, {
      method: 'PUT',
      headers: { 'content-type': 'text/csv', chunks: '2' },
    })
    const answered = once(request, 'response') as Promise<[IncomingMessage]>
    request.write(first!.body.subarray(0, 100))
    await leaving.said('started')
    leaving.signal('SIGTERM')
    await leaving.said('stopping')
    client.url = other.url
    expect(await client.putAll(batch.id, [second!])).toEqual([202])
    request.end(first!.body.subarray(100))
    const [response] = await answered
    expect([response.statusCode, response.headers.connection]).toEqual([202, 'close'])
    response.resume()
    expect(await leaving.exited).toEqual({ code: 0, signal: null })
    expect((await client.complete(batch.id, 2)).body).toMatchObject({ chunks: 2 })
    await hasSucceeded(batch, 2)
  })
})
