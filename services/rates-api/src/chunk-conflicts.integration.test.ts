import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { csv, sha256Hex, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { factsOf, succeeded } from '@rates/testing/facts'
import { startLine, type Line } from '@rates/testing/line'
import { holdPacks, startWorkerProcess } from '@rates/testing/workers'
import { startTestApp, type TestApp } from './test-app.ts'
import { ChunkClient, partsOf } from './test-chunks.ts'

let line: Line
let api: TestApp
let client: ChunkClient
beforeAll(async () => {
  line = await startLine()
  await startWorkerProcess(line)
  api = await startTestApp({
    DATABASE_URL: line.databaseUrl,
    KAFKA_BROKERS: line.brokers.join(','),
    KAFKA_PREFIX: line.prefix,
  })
  client = new ChunkClient(api.url)
})
afterAll(async () => {
  await api.close()
  await line.close()
})

/** A batch that is open, and a number of its chunks stored. */
async function begun(batch: TestBatch, of: number, chunks: readonly number[], headers: object = {}) {
  await client.open(batch.id)
  const parts = partsOf(batch, of)
  const sent = chunks.map((chunk) => parts[chunk]!)
  expect(await client.putAll(batch.id, sent, headers)).toEqual(sent.map(() => 202))
  await areStored(batch.id, chunks.length)
  return parts
}
const areStored = (id: string, count: number): Promise<unknown> =>
  eventually(async () => ((await client.chunks(id)).body['chunks'] as unknown[]).length === count, {
    what: `${count} chunks of ${id} being stored`,
  })
async function hasSucceeded(batch: TestBatch): Promise<void> {
  await line.reply(batch.id)
  expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  expect(await line.deadLetters(batch.id)).toEqual([])
}
/** Records that lie in the lanes. */
const records = async (): Promise<bigint> => {
  let count = 0n
  for (const lane of ['batches', 'bulk'] as const) {
    for (const { high } of await line.admin.progress(line.groups[lane], line.topics[lane])) count += high
  }
  return count
}

describe('a chunk that comes again', () => {
  it('is sent no more once it is stored, and is there once', async () => {
    const batch = testBatch(100)
    const [first, second] = await begun(batch, 2, [0])
    const before = await records()
    const again = await client.put(batch.id, 0, first!.body)
    expect(again).toMatchObject({ status: 200, body: { chunk: 0, rows: 50, sha256: sha256Hex(first!.body) } })
    expect(await records()).toBe(before)
    // Before it is stored both are sent, and one of them counts.
    const held = await holdPacks(line, 'batch_chunks')
    expect(await client.putAll(batch.id, [second!, second!])).toEqual([202, 202])
    expect(await records()).toBe(before + 2n)
    await held.release()
    await client.complete(batch.id, 2)
    await hasSucceeded(batch)
    expect((await client.put(batch.id, 1, second!.body, { chunks: '3' })).status).toBe(200)
  })

  it('with other content is refused, and the first one stays', async () => {
    const batch = testBatch(100)
    const [first, second] = await begun(batch, 2, [0])
    const refused = await client.put(batch.id, 0, second!.body)
    expect(refused).toMatchObject({
      status: 409,
      body: { code: 'other_content', sha256: sha256Hex(first!.body) },
    })
    await client.putAll(batch.id, [second!])
    await client.complete(batch.id, 2)
    await hasSucceeded(batch)
  })

  it('with the total that was missing is sent for that', async () => {
    const batch = testBatch(100)
    const [, second] = await begun(batch, 2, [0, 1])
    expect((await client.put(batch.id, 1, second!.body, { chunks: '2' })).status).toBe(202)
    await hasSucceeded(batch)
    expect(await client.complete(batch.id, 2)).toMatchObject({ status: 200, body: { chunks: 2 } })
  })
})

describe('a number of chunks that contradicts what is known', () => {
  it('is refused with the chunk that tells it', async () => {
    const batch = testBatch(100)
    const parts = await begun(batch, 5, [2], { chunks: '5' })
    const before = await records()
    const other = { status: 409, body: { code: 'other_total', total: 5 } }
    expect(await client.put(batch.id, 0, parts[0]!.body, { chunks: '6' })).toMatchObject(other)
    expect(await client.put(batch.id, 2, parts[2]!.body, { chunks: '6' })).toMatchObject(other)
    expect(await client.put(batch.id, 5, parts[0]!.body)).toMatchObject(other)
    expect(await client.complete(batch.id, 4)).toMatchObject(other)
    expect(await client.complete(batch.id, 6)).toMatchObject(other)
    expect(await records()).toBe(before)
  })

  it('is refused where a higher chunk is there', async () => {
    const batch = testBatch(100)
    const parts = await begun(batch, 5, [0, 1, 3])
    const other = { status: 409, body: { code: 'other_total', highest: 3 } }
    expect(await client.put(batch.id, 2, parts[2]!.body, { chunks: '3' })).toMatchObject(other)
    expect(await client.complete(batch.id, 2)).toMatchObject(other)
    // Chunk 3 without a row would be the closing one: this one has rows.
    await client.putAll(batch.id, [parts[2]!])
    await areStored(batch.id, 4)
    expect(await client.complete(batch.id, 3)).toMatchObject(other)
    await client.putAll(batch.id, [parts[4]!], { chunks: '5' })
    await hasSucceeded(batch)
    expect(await client.complete(batch.id, 4)).toMatchObject({ status: 409, body: { code: 'ended' } })
  })
})

describe('completing', () => {
  it('tells what is missing, and sends nothing before all is stored', async () => {
    const batch = testBatch(100)
    const parts = await begun(batch, 5, [0, 3])
    const before = await records()
    const answer = await client.complete(batch.id, 300, '&wait=0s')
    expect(answer).toMatchObject({ status: 409, retryAfter: '1', body: { code: 'chunks_missing' } })
    const first = Array.from({ length: 102 }, (_, chunk) => chunk).filter((chunk) => chunk !== 0 && chunk !== 3)
    expect(answer.body['missing']).toEqual(first)
    expect(await records()).toBe(before)
    const waiting = client.complete(batch.id, 5, '&wait=30s')
    await client.putAll(batch.id, [parts[1]!, parts[4]!])
    await areStored(batch.id, 4)
    expect(await records()).toBe(before + 2n)
    await client.putAll(batch.id, [parts[2]!])
    expect(await waiting).toMatchObject({ status: 202, body: { chunks: 6 } })
    await hasSucceeded(batch)
  })

  it.each([
    ['no number of chunks', '', 'chunks: is missing'],
    ['none', '?chunks=0', 'chunks: is not a whole number from 1 to 100000'],
    ['too many', '?chunks=100001', 'chunks: is not a whole number from 1 to 100000'],
    ['an odd time', '?chunks=1&wait=1h', 'wait: is not a time'],
    ['a long time', '?chunks=1&wait=61s', 'wait: is more than 60s'],
  ])('with %s gets 400', async (_, query, detail) => {
    const answer = await client.send('POST', `/batches/x/complete${query}`)
    expect(answer).toMatchObject({ status: 400, body: { detail: expect.stringContaining(detail) } })
  })
})

describe('a batch that is not open', () => {
  it('was not seen yet', async () => {
    const none = { status: 404, retryAfter: '1', body: { code: 'not_seen_yet' } }
    expect(await client.put('nobodys', 0, 'CNGGZ,NLRTM,2150-01-01,1\n')).toMatchObject(none)
    expect(await client.complete('nobodys', 1)).toMatchObject(none)
    // What can be no batch's id is not there, and never will be.
    for (const id of ['%00', 'a%20b', 'x'.repeat(129)]) {
      for (const answer of [await client.complete(id, 1), await client.chunks(id)])
        expect(answer).toMatchObject({ status: 404, retryAfter: null, body: { status: 404 } })
    }
    expect(await client.chunks('nobodys')).toMatchObject(none)
  })

  it('or was cancelled in the middle, and takes no other chunk', async () => {
    const batch = testBatch(100)
    const parts = await begun(batch, 3, [0])
    const waiting = client.complete(batch.id, 3, '&wait=30s')
    expect((await client.send('POST', `/batches/${batch.id}/cancel`)).status).toBe(200)
    const ended = { status: 409, body: { code: 'ended', state: 'cancelled' } }
    expect(await waiting).toMatchObject(ended)
    const before = await records()
    expect(await client.put(batch.id, 1, parts[1]!.body)).toMatchObject(ended)
    expect(await client.put(batch.id, 0, parts[0]!.body)).toMatchObject({ status: 200 })
    expect(await client.open(batch.id)).toMatchObject(ended)
    expect(await records()).toBe(before)
    expect(await line.reply(batch.id)).toMatchObject({ state: 'cancelled' })
    expect((await factsOf(line, batch)).visible).toBe('nothing')
  })

  it('or came over Kafka: its other chunks go by its lane, under its headers', async () => {
    const batch = testBatch(100)
    const [first, second] = partsOf(batch, 2)
    const headers = { 'batch-id': batch.id, source: 'acme', chunk: '0', 'content-type': 'text/csv' }
    await line.send([{ topic: line.topics.bulk, headers, value: first!.body }])
    await eventually(async () => (await client.chunks(batch.id)).status === 200)
    await areStored(batch.id, 1)
    expect((await client.open(batch.id, { source: 'other' })).status).toBe(409)
    expect((await client.put(batch.id, 1, csv(batch.lines.slice(50)), { chunks: '2' })).status).toBe(202)
    expect(sha256Hex(csv(batch.lines.slice(50)))).toBe(sha256Hex(second!.body))
    await hasSucceeded(batch)
    const { rows } = await line.pool.query<{ topic: string }>(
      'select distinct c.topic from batch_chunks c join batches b on b.no = c.batch_no where id = $1',
      [batch.id],
    )
    expect(rows).toEqual([{ topic: line.topics.bulk }])
  })
})
