import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { csv, sha256Hex, testBatch, type TestBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { factsOf, succeeded } from '@rates/testing/facts'
import { startLine, type Line } from '@rates/testing/line'
import { startWorkerProcess } from '@rates/testing/workers'
import { batchSchema, chunksSchema, completedSchema, openedSchema, takenChunkSchema } from './schemas.ts'
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

const opened = async (batch: TestBatch, headers: Record<string, string> = {}): Promise<void> =>
  expect(await client.open(batch.id, headers)).toMatchObject({ status: 201, location: `/batches/${batch.id}` })

/** Waits for its outcome. */
async function hasSucceeded(batch: TestBatch): Promise<void> {
  await line.reply(batch.id)
  expect(await factsOf(line, batch)).toEqual(succeeded(batch))
}

interface StoredFacts {
  topic: string
  total: number | null
  chunk: number
}
const stored = async (id: string): Promise<StoredFacts[]> =>
  (
    await line.pool.query<StoredFacts>(
      `select c.topic, c.total, c.chunk from batch_chunks c join batches b on b.no = c.batch_no where b.id = $1 order by 3`,
      [id],
    )
  ).rows
const lanesOf = async (id: string): Promise<string[]> => [
  ...new Set((await stored(id)).map(({ topic }) => topic.slice(line.prefix.length))),
]

describe('a batch that is uploaded chunk by chunk', () => {
  it('is the batch that the file is, uploaded at once', async () => {
    const batch = testBatch(100_000)
    await opened(batch, { source: 'acme', 'correlation-id': 'c-1', deadline: '2099-01-01T00:00:00.123456Z' })
    const parts = partsOf(batch, 13)
    const outOfOrder = [...parts.slice(6).reverse(), ...parts.slice(0, 6)]
    expect(await client.putAll(batch.id, outOfOrder, { chunks: '13' })).toEqual(parts.map(() => 202))
    const done = await client.complete(batch.id, 13)
    expect([200, 202]).toContain(done.status)
    expect(completedSchema.parse(done.body)).toMatchObject({ id: batch.id, dryRun: false, chunks: 13 })
    await hasSucceeded(batch)
    const shown = batchSchema.parse((await api.get(`/batches/${batch.id}`)).body)
    expect(shown).toMatchObject({ source: 'acme', correlationId: 'c-1', chunks: { done: 13, expected: 13 } })
    expect(await lanesOf(batch.id)).toEqual(['rates.batches.bulk'])
    expect(await line.deadLetters(batch.id)).toEqual([])

    const whole = await fetch(`${api.url}/batches?id=whole`, {
      method: 'POST',
      headers: { 'content-type': 'text/csv' },
      body: csv(batch.lines) as unknown as string,
    })
    expect(whole.status).toBe(202)
    await line.reply('whole')
    const other = batchSchema.parse((await api.get('/batches/whole')).body)
    expect([other.digest, other.rows.accepted]).toEqual([shown.digest, shown.rows.accepted])
  })

  it.each([
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ] as const)('takes chunks with %s, as they came', async (encoding, compress) => {
    const batch = testBatch(2_000)
    await opened(batch)
    const parts = partsOf(batch, 2).map((part) => ({ ...part, body: compress(part.body) }))
    expect(await client.putAll(batch.id, parts, { chunks: '2', 'content-encoding': encoding })).toEqual([202, 202])
    await hasSucceeded(batch)
    const { body } = await client.chunks(batch.id)
    expect(chunksSchema.parse(body)).toEqual({
      total: 2,
      chunks: parts.map(({ chunk, rows, body }) => ({ chunk, rows, sha256: sha256Hex(body) })),
    })
  })

  it('takes the first lane where its first chunk says that it is small, and stays on it', async () => {
    const batch = testBatch(400)
    await opened(batch)
    const [first, ...others] = partsOf(batch, 4)
    expect(await client.putAll(batch.id, [first!], { chunks: '4' })).toEqual([202])
    expect(await client.putAll(batch.id, others)).toEqual([202, 202, 202])
    await hasSucceeded(batch)
    expect(await lanesOf(batch.id)).toEqual(['rates.batches'])
  })

  it.each(['csv', 'ndjson'] as const)('gets a closing chunk where none told the total (%s)', async (format) => {
    const batch = testBatch(3_000)
    await opened(batch)
    expect(await client.putAll(batch.id, partsOf(batch, 3, format))).toEqual([202, 202, 202])
    const done = await client.complete(batch.id, 3)
    expect(done).toMatchObject({ status: 202, location: `/batches/${batch.id}`, retryAfter: '1', body: { chunks: 4 } })
    await hasSucceeded(batch)
    expect(await stored(batch.id)).toEqual(
      [null, null, null, 4].map((total, chunk) => ({ topic: line.topics.bulk, total, chunk })),
    )
    // Twice is as once, also when it has ended, and nobody is told twice.
    expect(await client.complete(batch.id, 3)).toMatchObject({ status: 200, retryAfter: null, body: { chunks: 4 } })
    expect(await client.complete(batch.id, 4)).toMatchObject({ status: 200, body: { chunks: 4 } })
    expect(await line.deadLetters(batch.id)).toEqual([])
  })

  it('may be completed by two at once', async () => {
    const batch = testBatch(300)
    await opened(batch)
    await client.putAll(batch.id, partsOf(batch, 3))
    const answers = await Promise.all([1, 2, 3, 4].map(() => client.complete(batch.id, 3)))
    for (const { status, body } of answers) expect([[200, 202].includes(status), body['chunks']]).toEqual([true, 4])
    await hasSucceeded(batch)
    expect(await line.deadLetters(batch.id)).toEqual([])
  })

  it('has ids of its own as a dry run, and publishes nothing then', async () => {
    const batch = testBatch(200)
    const query = '&dryRun=true'
    const dry = await client.send('PUT', `/batches/${batch.id}?dryRun=true`)
    expect([dry.status, dry.location]).toEqual([201, `/batches/${batch.id}?dryRun=true`])
    expect(openedSchema.parse(dry.body)).toMatchObject({ id: batch.id, dryRun: true })
    const [first, second] = partsOf(batch, 2)
    expect(await client.put(batch.id, 0, first!.body)).toMatchObject({ status: 404, body: { code: 'not_seen_yet' } })
    const taken = await client.send('PUT', `/batches/${batch.id}/chunks/0?dryRun=true`, first!.body, CSV)
    expect(taken.status).toBe(202)
    expect(takenChunkSchema.parse(taken.body)).toMatchObject({ dryRun: true, chunk: 0, rows: 100 })
    expect((await client.put(batch.id, 1, second!.body, { 'dry-run': 'true' })).status).toBe(202)
    expect(await client.complete(batch.id, 2)).toMatchObject({ status: 404, retryAfter: '1' })
    expect((await client.complete(batch.id, 2, query)).status).toBe(202)
    await eventually(async () => (await factsOf(line, batch, true)).state === 'succeeded')
    expect((await factsOf(line, batch, true)).visible).toBe('nothing')
    expect((await client.chunks(batch.id)).status).toBe(404)
    expect((await client.chunks(batch.id, '?dryRun=true')).body['total']).toBe(3)
    await opened(batch)
  })

  it('fails for its bad rows, by their numbers in all of it', async () => {
    const batch = testBatch(20)
    await opened(batch)
    const [first, second] = partsOf(batch, 2)
    await client.put(batch.id, 1, Buffer.concat([second!.body, Buffer.from('CNGGZ,XXXXX,2150-01-01,1\n')]))
    await client.put(batch.id, 0, first!.body)
    await client.complete(batch.id, 2)
    const reply = await line.reply(batch.id)
    expect([reply.state, reply.errors]).toMatchObject(['failed', [{ row: 21, rule: 'unknown_port' }]])
    expect((await client.complete(batch.id, 2)).status).toBe(200) // it has its outcome, whichever
  })
})

const CSV = { 'content-type': 'text/csv' }

describe('opening', () => {
  it('again changes nothing, whatever the trace; with another header it is refused', async () => {
    const { id } = testBatch(1)
    const headers = {
      source: 'acme',
      deadline: '2099-01-01T00:00:00.5Z',
      'on-deadline': 'flag',
      replaces: 'x',
      'correlation-id': 'c',
      'reply-to': line.topics.replies,
    }
    expect((await client.open(id, headers)).status).toBe(201)
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const again = { ...headers, deadline: '2099-01-01T00:00:00.500Z', traceparent }
    expect(await client.open(id, again)).toMatchObject({ status: 200, location: null, body: { id } })
    const inQuery = '?source=acme&deadline=2099-01-01T00:00:00.5Z&onDeadline=flag&replaces=x&correlationId=c&replyTo='
    expect((await client.send('PUT', `/batches/${id}${inQuery}${line.topics.replies}`)).status).toBe(200)
    for (const header of Object.keys(headers)) {
      const others = { ...headers, [header]: header === 'deadline' ? '2099-01-02T00:00:00Z' : 'other' }
      if (header === 'on-deadline') others[header] = 'fail'
      if (header === 'reply-to') delete (others as Record<string, string>)[header]
      const refused = await client.open(id, others)
      expect(refused).toMatchObject({ status: 409, body: { code: 'conflict', header, state: 'open' } })
      expect(refused.body['detail']).toContain(`header ${header} is`)
    }
  })

  it('is told by how the batch of that id has ended', async () => {
    const batch = testBatch(1)
    await opened(batch)
    expect((await client.put(batch.id, 0, csv(batch.lines), { chunks: '1' })).status).toBe(202)
    await hasSucceeded(batch)
    expect(await client.open(batch.id)).toMatchObject({ status: 409, body: { code: 'ended', state: 'succeeded' } })
    const other = await client.open(batch.id, { source: 'other' })
    expect(other).toMatchObject({ status: 409, body: { code: 'conflict', header: 'source', state: 'succeeded' } })
  })

  it.each([
    ['content', { 'content-type': 'text/csv' }, 'CNGGZ,NLRTM,2150-01-01,1\n', 'takes no content'],
    ['a bad deadline', { deadline: 'tomorrow' }, undefined, 'deadline: "tomorrow" is not a time'],
    ['a reply topic that is not allowed', { 'reply-to': 'elsewhere' }, undefined, 'reply-to: "elsewhere"'],
  ])('with %s gets 400, and opens nothing', async (_, headers, body, detail) => {
    const { id } = testBatch(1)
    const refused = await client.send('PUT', `/batches/${id}`, body, headers)
    expect([refused.status, refused.body['detail']]).toEqual([400, expect.stringContaining(detail)])
    expect((await api.get(`/batches/${id}`)).status).toBe(404)
  })

  it('takes an id by the rules of the wire', async () => {
    expect(await client.open('a%20b')).toMatchObject({
      status: 400,
      body: { detail: expect.stringContaining('batch-id: "a b" is not 1 to') },
    })
  })
})
