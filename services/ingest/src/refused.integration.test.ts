import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { unpackErrors } from '@rates/service/ledger/row-errors'
import { chunkRecords, csv, importTestPorts, sha256Hex, testBatch } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { factsOf, settled, succeeded, visible } from '@rates/testing/facts'
import { startLine, type Line } from '@rates/testing/line'
import kafkajs from 'kafkajs'
import { randomBytes } from 'node:crypto'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { startTestWorker } from './test-worker.ts'

// Bad rows fail their batch and are all told; what is no part of a batch goes to the dead letters, and the rest goes on.

let line: Line
let failed: Promise<unknown>
beforeAll(async () => {
  line = await startLine({ partitions: 1 })
  const worker = await startTestWorker(line)
  failed = worker.failed.catch((error: unknown) => error)
})
afterAll(() => line.close())

/** A batch right behind it on the same partition comes through, and the worker lives. */
async function expectGoingOn(): Promise<void> {
  const next = testBatch(5)
  await line.send([{ topic: line.topics.batches, headers: { 'batch-id': next.id }, value: csv(next.lines) }])
  const died = failed.then((error) => Promise.reject(new Error('the worker ended', { cause: error })))
  await Promise.race([line.reply(next.id), died])
  expect(await factsOf(line, next)).toEqual(succeeded(next))
}

describe('bad rows', () => {
  it('anywhere fail the batch; each is kept with its row in the file, field, value and rule', async () => {
    const batch = testBatch(900)
    const bad: [number, string, string | null, string, string][] = [
      [1, 'XXXXX,NLRTM,2001-01-01,100', 'orig_code', 'XXXXX', 'unknown_port'],
      [2, 'CNGGZ,nlrtm,2001-01-01,100', 'dest_code', 'nlrtm', 'unknown_port'],
      [300, 'CNGGZ,NLRTM,2001-02-29,100', 'day', '2001-02-29', 'not_a_date'],
      [301, 'CNGGZ,NLRTM,2200-01-01,100', 'day', '2200-01-01', 'date_out_of_range'],
      [555, 'CNGGZ,NLRTM,2001-01-01,12.5', 'price', '12.5', 'not_a_whole_number'],
      [899, 'CNGGZ,NLRTM,2001-01-01,0', 'price', '0', 'price_out_of_range'],
      [900, 'CNGGZ,NLRTM,2001-01-01', null, '3 columns', 'columns'],
    ]
    for (const [row, text] of bad) batch.lines[row - 1] = text
    // The second and the last chunk first: row numbers are of the file all the same.
    const records = await chunkRecords(line.topics.batches, { batchId: batch.id }, batch.lines, { chunks: 3 })
    await line.send([records[1]!, records[2]!, records[0]!])
    const reply = await line.reply(batch.id)
    const expected = bad.map(([row, , field, value, rule]) => ({ row, field, value, rule }))
    expect(reply).toMatchObject({
      state: 'failed',
      rows: { accepted: 893, rejected: 7 },
      digest: null,
      error: {
        code: 'rejected_rows',
        rules: {
          unknown_port: 2,
          not_a_date: 1,
          date_out_of_range: 1,
          not_a_whole_number: 1,
          price_out_of_range: 1,
          columns: 1,
        },
      },
      errors: expected,
    })
    expect(await factsOf(line, batch)).toMatchObject({
      state: 'failed',
      rows: { accepted: 893, rejected: 7 },
      error: 'rejected_rows',
      visible: 'nothing',
      replies: [`${batch.id}/failed`],
    })
    const stored = await line.pool.query<{ errors: Buffer }>(
      `select errors from batch_chunks c join batches b on b.no = c.batch_no where b.id = $1 and rejected > 0 order by chunk`,
      [batch.id],
    )
    const kept = await Promise.all(stored.rows.map(({ errors }) => unpackErrors(errors)))
    const texts = kept.flatMap((chunk) => [...chunk])
    expect(texts.map(({ text }) => text)).toEqual(bad.map(([, text]) => text))
    await expectGoingOn()
  })

  it('all of them are kept, the first twenty are replied', async () => {
    const batch = testBatch(2_000)
    const lines = batch.lines.map((each) => each.replace(/\d+$/, 'many'))
    await line.send([{ topic: line.topics.batches, headers: { 'batch-id': batch.id }, value: csv(lines) }])
    const reply = await line.reply(batch.id)
    expect(reply.errors.map(({ row }) => row)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
    expect(reply.rows).toEqual({ accepted: 0, rejected: 2_000 })
    const { rows } = await line.pool.query<{ errors: Buffer }>(
      'select errors from batch_chunks c join batches b on b.no = c.batch_no where b.id = $1',
      [batch.id],
    )
    const kept = [...(await unpackErrors(rows[0]!.errors))]
    expect(kept.map(({ row, text }) => `${row} ${text}`)).toEqual(lines.map((text, row) => `${row} ${text}`))
  })

  it('in a first chunk keep later chunks from being stored, and purging leaves nothing of it', async () => {
    const batch = testBatch(300)
    batch.lines[0] = 'nothing'
    const records = await chunkRecords(line.topics.batches, { batchId: batch.id }, batch.lines, { chunks: 3 })
    await line.send(records.slice(0, 2))
    const packs = `select count(*)::int as packs, (select count(*)::int from batch_chunks where batch_no = b.no) as chunks
      from batches b left join price_packs p on p.batch_no = b.no and p.orig is not null where b.id = $1 group by b.no`
    const held = `select count(p.*)::int as packs from batches b join price_packs p on p.batch_no = b.no where b.id = $1`
    await eventually(async () => (await line.pool.query(packs, [batch.id])).rows[0]?.chunks === 2)
    expect((await line.pool.query(held, [batch.id])).rows).toEqual([{ packs: 0 }])
    await line.send([records[2]!])
    await line.reply(batch.id)
    await settled(line)
    const { rows } = await line.pool.query('select purged_at from batches where id = $1', [batch.id])
    expect(rows[0].purged_at).toBeInstanceOf(Date)
  })

  it('that name a port of later than the worker read the catalogue are good once the port is there', async () => {
    const month = testBatch(0).month
    const rows = [`ZZNEW,NLRTM,${month}-01,100`, `NLRTM,ZZNEW,${month}-02,200`]
    const [early, late] = [testBatch(2, { month }), testBatch(2, { month })]
    const send = (id: string) =>
      line.send([{ topic: line.topics.batches, headers: { 'batch-id': id }, value: csv(rows) }])
    await send(early.id)
    expect(await line.reply(early.id)).toMatchObject({ state: 'failed', error: { rules: { unknown_port: 2 } } })
    await importTestPorts(line.databaseUrl, ['ZZNEW'])
    await send(late.id)
    expect(await line.reply(late.id)).toMatchObject({ state: 'succeeded', rows: { accepted: 2, rejected: 0 } })
    expect(await visible(line, { ...late, lines: rows })).toBe('all')
  })
})

describe('bodies', () => {
  it.each([
    ['several members of gzip', 'gzip', (parts: Buffer[]) => Buffer.concat(parts.map((part) => gzipSync(part)))],
    ['several frames of zstd', 'zstd', (parts: Buffer[]) => Buffer.concat(parts.map((part) => zstdCompressSync(part)))],
  ] as const)('may be %s, and none of them is lost', async (_, encoding, encode) => {
    const batch = testBatch(90)
    const value = encode([0, 30, 60].map((from) => csv(batch.lines.slice(from, from + 30))))
    const headers = { 'batch-id': batch.id, 'content-encoding': encoding }
    await line.send([{ topic: line.topics.batches, headers, value }])
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })

  it.each([
    ['the header line alone', 'text/csv', 'identity', Buffer.from('orig_code,dest_code,day,price\n')],
    ['nothing, compressed', 'application/x-ndjson', 'gzip', gzipSync('')],
  ])('may have no rows: %s', async (_, type, encoding, value) => {
    const { id } = testBatch(0)
    const headers = {
      'batch-id': id,
      chunk: '0',
      chunks: '1',
      rows: '0',
      'content-type': type,
      'content-encoding': encoding,
    }
    await line.send([{ topic: line.topics.batches, headers, value }])
    expect(await line.reply(id)).toMatchObject({ state: 'succeeded', rows: { accepted: 0, rejected: 0 } })
  })

  it('may name the topic of replies to have the reply there', async () => {
    const batch = testBatch(3)
    const headers = { 'batch-id': batch.id, 'reply-to': line.topics.replies }
    await line.send([{ topic: line.topics.batches, headers, value: csv(batch.lines) }])
    await line.reply(batch.id)
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })

  it('with JSON that is nested too deeply to be shown fail their batch, and end no worker', async () => {
    const batch = testBatch(1)
    const deep = '['.repeat(30_000) + ']'.repeat(30_000)
    const value = Buffer.from(
      `{"prices":[${deep},{"orig_code":${deep},"dest_code":"NLRTM","day":"2001-01-01","price":1}]}`,
    )
    await line.send([{ topic: line.topics.batches, headers: { 'batch-id': batch.id }, value }])
    expect(await line.reply(batch.id)).toMatchObject({
      state: 'failed',
      error: { rules: { json: 1, text_expected: 1 } },
    })
    await expectGoingOn()
  })
})

describe('records that are no part of a batch', () => {
  const body = csv(['CNGGZ,NLRTM,2001-01-01,100'])
  const chunk = {
    'batch-id': 'x',
    chunk: '0',
    chunks: '2',
    'content-type': 'text/csv',
    rows: '1',
    sha256: sha256Hex(body),
  }
  const without = (name: string, more: Record<string, string> = {}): Record<string, string> =>
    Object.fromEntries(Object.entries({ ...chunk, ...more }).filter(([key]) => key !== name))
  const many = csv(new Array<string>(32_768).fill('CNGGZ,NLRTM,2001-01-01,1'))
  const bomb = Buffer.alloc(8_000_001)
  const noise = randomBytes(50_000)
  const encoded = (encoding: string): Record<string, string> => without('sha256', { 'content-encoding': encoding })
  const odd: [string, string, Record<string, string>, Buffer | null][] = [
    ['text', 'not_a_batch', {}, Buffer.from('hello')],
    ['binary', 'not_a_batch', {}, Buffer.from([0, 255, 254, 3, 0x7b])],
    ['other JSON', 'not_a_batch', {}, Buffer.from('{"hello": 1}')],
    ['cut JSON', 'not_a_batch', {}, Buffer.from('{"prices": [')],
    ['no value', 'empty', chunk, null],
    ['an empty value', 'empty', chunk, Buffer.alloc(0)],
    ['a bad batch-id', 'bad_header', { ...chunk, 'batch-id': 'a b' }, body],
    ['a chunk without batch-id', 'bad_header', without('batch-id'), body],
    ['a chunk without content-type', 'bad_header', without('content-type'), body],
    ['a chunk that is no number', 'bad_header', { ...chunk, chunk: 'one' }, body],
    ['a chunk past its total', 'bad_header', { ...chunk, chunk: '2' }, body],
    ['an unknown encoding', 'bad_header', { ...chunk, 'content-encoding': 'br' }, body],
    ['an unknown control', 'bad_header', { ...chunk, control: 'stop' }, body],
    ['a bad deadline', 'bad_header', { ...chunk, deadline: 'tomorrow' }, body],
    ['another checksum', 'checksum_mismatch', { ...chunk, sha256: 'ab'.repeat(32) }, body],
    ['other rows than it says', 'rows_mismatch', { ...chunk, rows: '2' }, body],
    ['too many rows', 'too_many_rows', without('rows', { sha256: sha256Hex(many) }), many],
    ['no gzip', 'bad_encoding', { ...chunk, 'content-encoding': 'gzip' }, body],
    ['a bomb in gzip', 'bad_encoding', encoded('gzip'), gzipSync(bomb)],
    ['a bomb in zstd', 'bad_encoding', encoded('zstd'), zstdCompressSync(bomb)],
    [
      'more than 8 000 000 bytes in zstd',
      'bad_encoding',
      encoded('zstd'),
      zstdCompressSync(Buffer.concat([bomb, noise])),
    ],
    ['half of a gzip', 'bad_encoding', encoded('gzip'), gzipSync(body).subarray(0, 20)],
    ['gzip with something after it', 'bad_encoding', encoded('gzip'), Buffer.concat([gzipSync(body), body])],
    ['gzip in gzip', 'bad_encoding', encoded('gzip'), gzipSync(gzipSync(body))],
    ['gzip without saying so', 'bad_encoding', without('sha256'), gzipSync(body)],
    ['two encodings at once', 'bad_header', encoded('gzip, zstd'), gzipSync(body)],
    ['a JSON of very many values', 'not_a_batch', {}, Buffer.from(`{"prices":[${'[],'.repeat(290_000)}[]]}`)],
    ['too many bytes', 'too_large', without('sha256'), Buffer.alloc(900_001, 'a')],
  ]
  it.each(odd)(
    '%s: dead letter with its reason and its bytes, and the partition goes on',
    async (_, reason, headers, value) => {
      const id = testBatch(0).id
      const named = headers['batch-id'] === 'x' ? { ...headers, 'batch-id': id } : headers
      const before = (await line.deadLetters()).length
      await line.send([{ topic: line.topics.batches, headers: named, value }])
      const letters = await eventually(async () => {
        const all = await line.deadLetters()
        return all.length > before && all.slice(before)
      })
      expect(letters).toHaveLength(1)
      const [letter] = letters
      expect(Object.fromEntries(letter!.headers)).toMatchObject({
        ...named,
        'dead-letter-reason': reason,
        'dead-letter-topic': line.topics.batches,
        'dead-letter-partition': '0',
      })
      expect(letter!.headers.get('dead-letter-detail')).not.toBe('')
      expect(Buffer.from(letter!.value ?? []).equals(value ?? Buffer.alloc(0))).toBe(true)
      const { rows } = await line.pool.query('select from batches where id = $1', [id])
      expect(rows).toEqual([])
      // Who named a batch is told; who did not is not known.
      if (named['batch-id'] === id) {
        expect(await line.reply(id)).toMatchObject({ state: 'unreadable', error: { code: reason } })
      }
      await expectGoingOn()
    },
  )

  it('a record that is too large once Kafka has unpacked it is told in its place, and the partition goes on', async () => {
    const kafka = new kafkajs.Kafka({ brokers: line.brokers, logLevel: kafkajs.logLevel.NOTHING })
    const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
    await producer.connect()
    const before = (await line.deadLetters()).length
    const messages = [{ headers: { 'batch-id': 'large' }, value: Buffer.alloc(20 << 20, ' ') }]
    await producer.send({ topic: line.topics.batches, compression: kafkajs.CompressionTypes.GZIP, messages })
    await producer.disconnect()
    const letter = await eventually(async () => (await line.deadLetters())[before])
    expect(letter.headers.get('dead-letter-reason')).toBe('bad_encoding')
    expect(letter.headers.get('dead-letter-detail')).toMatch(
      /^the record batch: \d+ bytes of gzip become more than 16777216$/,
    )
    await expectGoingOn()
  })

  it('a header without a value is none, and blocks nothing', async () => {
    const batch = testBatch(5)
    const kafka = new kafkajs.Kafka({ brokers: line.brokers, logLevel: kafkajs.logLevel.NOTHING })
    const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
    await producer.connect()
    const headers = { 'batch-id': batch.id, tracing: null as unknown as string }
    // As other clients send it; kafkajs stumbles over its size.
    const byteLength = Buffer.byteLength
    const size = jest.spyOn(Buffer, 'byteLength')
    size.mockImplementation((value, encoding) => (value === null ? 0 : byteLength(value, encoding)))
    await producer.send({ topic: line.topics.batches, messages: [{ headers, value: csv(batch.lines) }] })
    size.mockRestore()
    await producer.disconnect()
    await Promise.race([line.reply(batch.id), failed.then((error) => Promise.reject(error as Error))])
    expect(await factsOf(line, batch)).toEqual(succeeded(batch))
  })

  it('a whole batch that is addressed to us and cannot be read fails as any other', async () => {
    const batch = testBatch(1)
    const headers = {
      'batch-id': batch.id,
      'content-type': 'application/json',
      source: 'acme',
      'correlation-id': 'c-1',
    }
    await line.send([{ topic: line.topics.batches, headers, value: Buffer.from('{"prices": [') }])
    expect(await line.reply(batch.id)).toMatchObject({
      replyId: `${batch.id}/failed`,
      state: 'failed',
      source: 'acme',
      correlationId: 'c-1',
      error: { code: 'unreadable' },
    })
    expect(await factsOf(line, batch)).toMatchObject({ state: 'failed', error: 'unreadable', visible: 'nothing' })
    await expectGoingOn()
  })
})

describe('texts that PostgreSQL does not take', () => {
  it.each([
    ['a NUL', '{"prices": \0}'],
    ['half of a character', '{"prices": 😀}'],
    ['both', '{"prices": \0😀}'],
  ])('are told as they can be kept where broken JSON has %s', async (_, value) => {
    const { id } = testBatch(0)
    await line.send([{ topic: line.topics.batches, headers: { 'batch-id': id }, value: Buffer.from(value) }])
    await expectGoingOn()
    const { error } = await line.reply(id)
    expect(error).toMatchObject({ code: 'unreadable', message: expect.stringMatching(/^it is no JSON: .*\ufffd/) })
    expect([error!.message.isWellFormed(), error!.message.includes('\0')]).toEqual([true, false])
    const { rows } = await line.pool.query<{ error: object }>('select error from batches where id = $1', [id])
    expect(rows).toEqual([{ error }])
  })

  it('in bad rows fail their batch, which shows them', async () => {
    const batch = testBatch(0)
    const price = { orig_code: '\0\ud83d', dest_code: 'NLRTM', day: '2001-01-01', price: 1 }
    const value = Buffer.from(JSON.stringify({ prices: [price, { ...price, orig_code: '\ude00' }] }))
    await line.send([{ topic: line.topics.batches, headers: { 'batch-id': batch.id }, value }])
    await expectGoingOn()
    expect(await line.reply(batch.id)).toMatchObject({
      state: 'failed',
      error: { code: 'rejected_rows', rules: { unknown_port: 2 } },
      errors: [
        { row: 1, value: '\0\ufffd' },
        { row: 2, value: '\ufffd' },
      ],
    })
  })

  it('and headers of any length stand in the dead letter alone: its reply has those that are right', async () => {
    const wrong = { 'correlation-id': 'a\0b', source: 'a\0b', traceparent: 'a\0b' }
    const long = 'x'.repeat(600_000)
    for (const headers of [wrong, { ...wrong, 'correlation-id': long }, { ...wrong, source: long }]) {
      const { id } = testBatch(0)
      const named = { ...headers, 'batch-id': id, 'dry-run': 'true' }
      await line.send([{ topic: line.topics.batches, headers: named, value: csv([]) }])
      await expectGoingOn()
      const reply = await line.reply(id)
      expect(reply).toMatchObject({ state: 'unreadable', correlationId: null, source: null, dryRun: true })
      expect(reply.error).toMatchObject({ code: 'bad_header' })
    }
    const { id } = testBatch(0)
    const headers = { 'batch-id': id, 'correlation-id': 'c-1', source: 'a\0b' }
    await line.send([{ topic: line.topics.batches, headers, value: csv([]) }])
    expect(await line.reply(id)).toMatchObject({ correlationId: 'c-1', source: null })
  })
})

describe('in the end', () => {
  it('CSV is told by its columns, whatever stands in quotes', async () => {
    const { id } = testBatch(1)
    const value = Buffer.from('CNSGH,NLRTM,2026-01-01,"1,200"\n')
    await line.send([{ topic: line.topics.batches, headers: { 'batch-id': id }, value }])
    expect(await line.reply(id)).toMatchObject({
      error: { code: 'rejected_rows' },
      errors: [{ row: 1, field: 'price' }],
    })
  })

  it('nothing is left', () => settled(line))
})
