import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { CLAIM_TYPE, type ClaimCheck } from '@rates/core/claim-check'
import { RejectionLog } from '@rates/core/rejection-log'
import { idByPlace } from '@rates/core/wire'
import { type IncomingRecord } from '@rates/service/kafka'
import { startConsumer } from '@rates/service/kafka-consumer'
import { packErrors } from '@rates/service/ledger/row-errors'
import { groupNames } from '@rates/service/topics'
import { eventually } from '@rates/testing/eventually'
import { startFaultProxy, type FaultProxy } from '@rates/testing/fault-proxy'
import { startLine, type Line } from '@rates/testing/line'
import { undocumented } from '@rates/testing/metrics-docs'
import { sum } from '@rates/testing/metrics-text'
import { seedPrices } from './test-app.ts'
import { openTestBatch } from './test-ledger.ts'
import {
  allCommitted,
  AnswerReader,
  ask,
  contents,
  idsOf,
  rewind,
  startTestDoor,
  type TestDoor,
} from './test-queries.ts'

const rates = { date_from: '2021-01-01', date_to: '2021-01-10', orig_code: 'CNSGH', dest_code: 'NLRTM' }
const text = ({ value }: IncomingRecord): string => Buffer.from(value!).toString()
const json = (record: IncomingRecord): unknown => JSON.parse(text(record))

describe('queries by message', () => {
  let line: Line
  let door: TestDoor
  let replyTopics: string[]
  let answers: AnswerReader
  beforeAll(async () => {
    line = await startLine({ partitions: 3 })
    await seedPrices(line.pool, 'seed', [
      ['CNSGH', 'NLRTM', '2021-01-02', 1000],
      ['CNSGH', 'NLRTM', '2021-01-02', 1500],
      ['CNSGH', 'NLRTM', '2021-01-02', 2000],
      ['CNSGH', 'DEHAM', '2021-01-03', 700],
    ])
    await openTestBatch(line.pool, 'open', { source: 'acme' })
    await storeBadRows()
    const [acme, small, gone] = ['acme', 'small', 'gone'].map((name) => `${line.prefix}${name}`) as [
      string,
      string,
      string,
    ]
    await line.admin.createTopic(acme, 1, 1, {})
    await line.admin.createTopic(small, 1, 1, { 'max.message.bytes': '700' })
    line.defer(() => line.admin.deleteTopics([acme, small]))
    answers = await AnswerReader.of(line, line.topics.replies)
    replyTopics = [acme, small, gone]
    door = await startTestDoor(line, { replyTopics })
  })
  afterAll(() => line.close())

  let asked = 0
  /** Asks one query, and waits for its answer on the default topic. */
  async function answerTo(value: unknown, headers: Record<string, string> = {}, key?: string): Promise<IncomingRecord> {
    const correlation = `q${++asked}`
    await ask(line, [
      { value, headers: { 'correlation-id': correlation, ...headers }, ...(key !== undefined && { key }) },
    ])
    return answers.with(correlation)
  }

  async function overHttp(path: string): Promise<{ status: string; type: string; body: string }> {
    const response = await fetch(door.app.url + path)
    const [type] = response.headers.get('content-type')!.split(';')
    return { status: String(response.status), type: type!, body: await response.text() }
  }

  async function storeBadRows(): Promise<void> {
    const no = await openTestBatch(line.pool, 'bad', { state: 'failed' })
    const errors = new RejectionLog()
    for (let row = 0; row < 3_000; row++) {
      const bytes = Buffer.from(`CNSGH,NLRTM,"é",${row}`)
      errors.addText(row, 3, 'not_a_date', bytes, 0, bytes.length, 'é')
    }
    await line.pool.query(
      `insert into batch_chunks (batch_no, chunk, total, rows, rejected, sha256, digest, topic, partition, record_offset,
         record_time, bytes, worker, peak_memory, attempt, taken_at, errors)
       values ($1, 0, 1, 3000, 3000, '\\x00', decode(repeat('00', 16), 'hex'), 't', 0, 0, now(), 10, 'w', 1, 1, now(), $2)`,
      [no, await packErrors(errors)],
    )
  }

  const params = new URLSearchParams(rates).toString()
  it.each<[string, object, string]>([
    ['rates', rates, `/rates?${params}`],
    ['rates as CSV', { ...rates, format: 'csv' }, `/rates?${params}&format=csv`],
    ['rates, explained', { query: 'rates', ...rates, explain: 'true' }, `/rates?${params}&explain=true`],
    [
      'rates that were asked for wrongly',
      { ...rates, date_to: '2021-02-30' },
      `/rates?${params.replace('01-10', '02-30')}`,
    ],
    ['a batch', { query: 'batch', id: 'seed' }, '/batches/seed'],
    ['a batch that is not there', { query: 'batch', id: 'nobody' }, '/batches/nobody'],
    ['its dry run', { query: 'batch', id: 'seed', dryRun: 'true' }, '/batches/seed?dryRun=true'],
    ['no bad rows', { query: 'errors', id: 'seed' }, '/batches/seed/errors'],
    ['bad rows of nobody', { query: 'errors', id: 'a b' }, '/batches/a%20b/errors'],
  ])('%s: the bytes are those of the HTTP body', async (_, query, path) => {
    const answer = await answerTo(query)
    const http = await overHttp(path)
    expect(text(answer)).toBe(http.body)
    expect([answer.headers.get('status'), answer.headers.get('content-type')]).toEqual([http.status, http.type])
  })

  it.each(['json', 'csv', 'ndjson'])('bad rows as %s, put away: the content is the HTTP body', async (format) => {
    const answer = await answerTo({ query: 'errors', id: 'bad', format })
    const http = await overHttp(`/batches/bad/errors?format=${format}`)
    expect([...answer.headers]).toContainEqual(['content-type', CLAIM_TYPE])
    const check = json(answer) as ClaimCheck
    expect(check).toMatchObject({ contentType: http.type, bytes: Buffer.byteLength(http.body) })
    const content = Buffer.from(await (await fetch(check.url)).arrayBuffer())
    expect(content.toString()).toBe(http.body)
    expect(createHash('sha256').update(content).digest('hex')).toBe(check.sha256)
    expect(Date.parse(check.expiresAt)).toBeGreaterThan(Date.now() + 23 * 3600_000)
  })

  it('the answer tells whose it is', async () => {
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    const sent = await line.admin.ends(line.topics.queries)
    const answer = await answerTo(rates, { traceparent, 'batch-id': 'seed' }, 'key of it')
    const now = await line.admin.ends(line.topics.queries)
    const { partition, high } = now.find(({ partition, high }) => sent[partition]!.high !== high)!
    expect(Buffer.from(answer.key!).toString()).toBe('key of it')
    const { 'reply-id': id, ...headers } = Object.fromEntries(answer.headers)
    expect(headers).toEqual({
      status: '200',
      'content-type': 'application/json',
      'correlation-id': `q${asked}`,
      traceparent,
    })
    const time = Number(/-(\d+)\/answer$/.exec(id!)![1])
    const place = { topic: line.topics.queries, partition, offset: high - 1n, timestamp: time }
    expect(id).toBe(`${idByPlace(place)}/answer`)
    expect(Math.abs(Date.now() - time)).toBeLessThan(60_000)
  })

  it.each<[string, unknown, Record<string, string>, string, string]>([
    ['no value', null, {}, '400', 'the record has no value'],
    ['no JSON', Buffer.from('{'), {}, '400', 'it is no JSON in UTF-8'],
    ['too large', Buffer.alloc(70_000, 0x20), {}, '413', '70000 bytes; a query may have 65536'],
    ['another query', { query: 'drop' }, {}, '400', 'query: "drop" is none of'],
    [
      'a topic not on the list',
      rates,
      { 'reply-to': 'rates.secret' },
      '400',
      'header reply-to: "rates.secret" is not on',
    ],
    ['a wrong header', rates, { traceparent: 'x' }, '400', 'header traceparent: "x" is not a W3C'],
  ])('%s: answered by a problem on the default topic', async (_, value, headers, status, detail) => {
    const answer = await answerTo(value, headers)
    expect(answer.headers.get('status')).toBe(status)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(json(answer)).toMatchObject({
      status: Number(status),
      detail: expect.stringMatching(escaped(detail)) as unknown,
    })
  })

  it('a NUL or half a surrogate pair in its headers and its key costs nobody an answer', async () => {
    const key = Buffer.from([0, 0xed, 0xa0, 0x80, 0xff])
    await ask(line, [
      { value: rates, key, headers: { 'correlation-id': 'a\0b' } },
      { value: rates, key, headers: { 'correlation-id': 'a\ud800b' } },
    ])
    const [first, second] = await eventually(async () => {
      const found = (await answers.all()).filter((answer) => answer.key && Buffer.compare(answer.key, key) === 0)
      return found.length === 2 && found
    })
    expect([first!.headers.get('status'), first!.headers.has('correlation-id')]).toEqual(['400', false])
    expect(json(first!)).toMatchObject({
      detail: expect.stringContaining('header correlation-id: "a\\u0000b"') as unknown,
    })
    // UTF-8 has no halves: they were lost on the way.
    expect([second!.headers.get('status'), second!.headers.get('correlation-id')]).toEqual(['200', 'a\ufffdb'])
  })

  it.each(['\0', 'a\0b', '\ud800', 'a\udc00b'])('%j in its members: it is answered', async (odd) => {
    const statuses: string[] = []
    for (const query of [
      { ...rates, orig_code: odd },
      { ...rates, date_from: odd },
      { ...rates, format: odd },
      { query: 'batch', id: odd },
      { query: 'errors', id: odd },
      { query: odd },
    ]) {
      const answer = await answerTo(query)
      statuses.push(answer.headers.get('status')!)
      expect(json(answer)).toEqual(expect.any(Object))
    }
    expect(statuses).toEqual(['200', '400', '400', '404', '404', '400'])
  })

  it('goes to the topic that it names, and to the default one where that is not there', async () => {
    const own = await AnswerReader.of(line, `${line.prefix}acme`)
    await ask(line, [{ value: rates, headers: { 'correlation-id': 'own', 'reply-to': `${line.prefix}acme` } }])
    expect((await own.with('own')).headers.get('status')).toBe('200')
    const lost = await answerTo(rates, { 'reply-to': `${line.prefix}gone` })
    expect(lost.headers.get('status')).toBe('200')
    expect((await answers.all()).some(({ headers }) => headers.get('correlation-id') === 'own')).toBe(false)
  })

  it('what its topic refuses goes to the default one, in the order of its key', async () => {
    const replyTo = `${line.prefix}small`
    const own = await AnswerReader.of(line, replyTo)
    const small = { ...rates, date_to: '2021-01-02' }
    const large = { ...rates, date_to: '2021-02-20' }
    const queries = [large, small, large, small].map((value, i) => ({
      value,
      key: 'one',
      headers: { 'correlation-id': `small-${i}`, 'reply-to': i < 3 ? replyTo : line.topics.replies },
    }))
    await ask(line, queries)
    await answers.with('small-3')
    await own.with('small-1')
    const order = (await answers.all()).flatMap(
      ({ headers }) => /^small-\d$/.exec(headers.get('correlation-id') ?? '') ?? [],
    )
    expect(order).toEqual(['small-0', 'small-2', 'small-3'])
    expect(sum(await door.metrics(), 'rates_query_answers_diverted_total')).toBeGreaterThanOrEqual(2)
  })

  it('a thousand in flight: each is answered once, in the order of its key', async () => {
    const before = idsOf(await answers.all()).size
    const queries = Array.from({ length: 1_000 }, (_, i) => ({
      value: i % 50 === 7 ? { ...rates, date_to: `2021-12-${10 + (i % 20)}` } : rates,
      key: `key ${i % 20}`,
      headers: { 'correlation-id': `thousand-${i}` },
    }))
    await ask(line, queries)
    const all = (await answers.distinct(before + 1_000)).filter(({ headers }) =>
      headers.get('correlation-id')?.startsWith('thousand-'),
    )
    expect(all).toHaveLength(1_000)
    const orders = Map.groupBy(all, ({ key }) => Buffer.from(key!).toString())
    for (const of of orders.values()) {
      const numbers = of.map(({ headers }) => Number(headers.get('correlation-id')!.slice(9)))
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
    }
    expect(orders.size).toBe(20)
    await allCommitted(line)
    expect(sum(await door.metrics(), 'rates_queries_in_flight')).toBe(0)
  })

  it('metrics are those of the documentation', async () => {
    await allCommitted(line)
    const before = await door.metrics()
    await answerTo({ query: 'errors', id: 'bad' })
    await answerTo({ query: 'none' })
    await allCommitted(line)
    const after = await door.metrics()
    expect(undocumented(after, ['Queries by message'])).toEqual([])
    const more = (...of: [name: string, labels?: Record<string, string>]): number =>
      sum(after, ...of) - sum(before, ...of)
    expect(more('rates_query_claims_total')).toBe(1)
    expect(more('rates_queries_total', { query: 'errors', status: '2xx' })).toBe(1)
    expect(more('rates_queries_total', { query: 'none', status: '4xx' })).toBe(1)
    expect(more('rates_queries_total')).toBe(2)
  })

  it('a query that is taken again gets the same bytes, whatever has changed meanwhile', async () => {
    await allCommitted(line)
    const before = await answers.all()
    await door.stop()
    await seedPrices(line.pool, 'later', [['CNSGH', 'NLRTM', '2021-01-02', 9000]])
    await rewind(line)
    await startTestDoor(line, { replyTopics })
    await allCommitted(line)
    const all = await eventually(async () => {
      const now = await answers.all()
      return now.length >= 2 * before.length && now
    })
    expect(idsOf(all)).toEqual(idsOf(before))
    for (const seen of contents(all).values()) expect([...seen]).toHaveLength(1)
    const fresh = await answerTo(rates)
    expect(json(fresh)).toMatchObject({ rates: expect.arrayContaining([{ day: '2021-01-02', price: 3375, count: 4 }]) })
  })
})

describe('between queries and PostgreSQL', () => {
  let line: Line
  let proxy: FaultProxy
  let answers: AnswerReader
  beforeAll(async () => {
    line = await startLine({ partitions: 1 })
    proxy = await startFaultProxy(line.databaseUrl)
    line.defer(() => proxy.close())
    answers = await AnswerReader.of(line, line.topics.replies)
    await startTestDoor(line, { env: { DATABASE_URL: proxy.url } })
  })
  afterAll(() => line.close())

  const some = Array.from({ length: 30 }, () => ({ value: rates }))
  let expected = 0
  async function eachIsAnsweredOnce(): Promise<void> {
    const all = await answers.distinct((expected += some.length))
    for (const seen of contents(all).values()) expect([...seen]).toHaveLength(1)
    await allCommitted(line)
    const { rows } = await line.pool.query<{ n: number }>('select count(*)::int as n from query_answers')
    expect(rows).toEqual([{ n: expected }])
  }

  it.each(['answer', 'request'] as const)('the %s of COMMIT is lost: each is answered once', async (lost) => {
    const cut = proxy.cutCommit(lost)
    await ask(line, some)
    await cut
    await eachIsAnsweredOnce()
  })

  it('it is away: queries wait, and are answered when it is back', async () => {
    proxy.down()
    await ask(line, some)
    await eventually(() => Promise.resolve(proxy.refused() > 3), { what: 'several tries' })
    expect(idsOf(await answers.all()).size).toBe(expected)
    proxy.up()
    await eachIsAnsweredOnce()
  })
})

describe('a door that is told to stop', () => {
  it('does not wait for its group, where it has nothing in hand', async () => {
    const line = await startLine({ partitions: 1 })
    const groupId = groupNames(line.prefix).queries
    // Who has a record in hand does not join again before it is through with it, and all others wait for it.
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    let reached = (): void => undefined
    const holds = new Promise<void>((resolve) => (reached = resolve))
    const first = await startConsumer(line.kafka, {
      groupId,
      topic: line.topics.queries,
      sessionSeconds: 30,
      handle: () => {
        reached()
        return held
      },
    })
    line.defer(() => first.stop())
    await ask(line, [{ value: rates }])
    await holds
    const door = await startTestDoor(line)
    const joins = async (): Promise<boolean> => (await line.admin.group(groupId)).state === 'PreparingRebalance'
    await eventually(joins, { what: 'the door joining' })
    const began = performance.now()
    await door.stop()
    expect(performance.now() - began).toBeLessThan(5_000)
    release()
    await line.close()
  })
})

const escaped = (words: string): RegExp => new RegExp(words.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
