import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { chunkRecords, csv, ndjson, prices, testBatch } from '@rates/testing/batches'
import { factsOf, settled, succeeded } from '@rates/testing/facts'
import { startLine, type Line } from '@rates/testing/line'
import kafkajs from 'kafkajs'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { startTestWorker } from './test-worker.ts'

// Every form in which the wire allows a batch to come.

let line: Line
beforeAll(async () => {
  line = await startLine()
  await startTestWorker(line)
})
afterAll(() => line.close())

describe('a whole batch in one record', () => {
  const json = (lines: string[]) => Buffer.from(JSON.stringify({ prices: prices(lines) }))
  const HEADER = 'orig_code,dest_code,day,price'
  const bodies: [string, Record<string, string>, (lines: string[]) => Buffer][] = [
    ['CSV', { 'content-type': 'text/csv' }, csv],
    ['CSV by its first line', {}, csv],
    ['CSV with a header line', {}, (lines) => csv([HEADER, ...lines])],
    ['CSV with a byte order mark and CRLF', {}, (lines) => Buffer.from('\ufeff' + [HEADER, ...lines].join('\r\n'))],
    ['CSV in quotes', {}, (lines) => csv(lines.map((each) => `"${each.replaceAll(',', '","')}"`))],
    ['NDJSON', { 'content-type': 'application/x-ndjson' }, ndjson],
    ['NDJSON by its first line', {}, ndjson],
    ['JSON', { 'content-type': 'application/json' }, json],
    ['JSON by its first character', {}, json],
    ['CSV in gzip', { 'content-type': 'text/csv', 'content-encoding': 'gzip' }, (lines) => gzipSync(csv(lines))],
    ['JSON in zstd', { 'content-encoding': 'zstd' }, (lines) => zstdCompressSync(json(lines))],
  ]
  it.each(bodies)('%s', async (_, headers, body) => {
    const batch = testBatch(60)
    const value = body(batch.lines)
    await line.send([{ topic: line.topics.batches, headers: { 'batch-id': batch.id, ...headers }, value }])
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })

  it('of a single price, as JSON without any header', async () => {
    const batch = testBatch(1)
    await line.send([{ topic: line.topics.batches, headers: {}, value: json(batch.lines) }])
    await settled(line)
    expect(await factsOf(line, batch)).toMatchObject({ visible: 'all' })
  })
})

describe('chunks', () => {
  it.each([
    ['text/csv', 'identity'],
    ['text/csv', 'gzip'],
    ['text/csv', 'zstd'],
    ['application/x-ndjson', 'identity'],
    ['application/x-ndjson', 'gzip'],
    ['application/x-ndjson', 'zstd'],
  ] as const)('of %s in %s', async (contentType, contentEncoding) => {
    const batch = testBatch(500)
    const cutting = { chunks: 3, contentType, contentEncoding }
    await line.send(await chunkRecords(line.topics.batches, { batchId: batch.id }, batch.lines, cutting))
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })

  it('in any order of rows, format and cutting have one digest', async () => {
    const batch = testBatch(400)
    const shuffled = [...batch.lines].reverse()
    const other = { ...batch, id: `${batch.id}-again`, lines: shuffled }
    await line.send(await chunkRecords(line.topics.batches, { batchId: batch.id }, batch.lines, { chunks: 2 }))
    await line.send(
      await chunkRecords(line.topics.batches, { batchId: other.id }, shuffled, {
        chunks: 3,
        contentType: 'application/x-ndjson',
      }),
    )
    expect((await line.reply(batch.id)).digest).toBe(batch.digest)
    expect((await line.reply(other.id)).digest).toBe(batch.digest)
  })
})

describe('records that Kafka compresses', () => {
  const { GZIP, LZ4, Snappy, ZSTD } = kafkajs.CompressionTypes
  it.each([
    ['gzip', GZIP],
    ['snappy', Snappy],
    ['lz4', LZ4],
    ['zstd', ZSTD],
  ])('with %s', async (_, compression) => {
    const batch = testBatch(3_000)
    const records = await chunkRecords(line.topics.bulk, { batchId: batch.id }, batch.lines, { chunks: 4 })
    const kafka = new kafkajs.Kafka({ brokers: line.brokers, logLevel: kafkajs.logLevel.NOTHING })
    const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
    await producer.connect()
    // Two records a send: a compressed record batch holds several.
    for (const together of [records.slice(0, 2), records.slice(2)]) {
      const messages = together.map(({ headers, value }) => ({ headers, value: Buffer.from(value!), partition: 0 }))
      await producer.send({ topic: line.topics.bulk, messages, compression })
    }
    await producer.disconnect()
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })
})

describe('in the end', () => {
  it('nothing is left', () => settled(line))
})
