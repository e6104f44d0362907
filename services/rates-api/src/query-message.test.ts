import { describe, expect, it } from '@jest/globals'
import { type IncomingRecord } from '@rates/service/kafka'
import { UNREADABLE } from '@rates/service/record-batch-guard'
import { Problem } from './problem.ts'
import { MAX_KEY_BYTES, MAX_QUERY_BYTES, readQuery, type QueryMessage } from './query-message.ts'

const topics = { replies: 'rates.replies', allowed: ['rates.replies', 'acme.answers'] }
const rates = { date_from: '2021-01-01', date_to: '2021-01-10', orig_code: 'CNSGH', dest_code: 'world' }

function read(
  value: unknown,
  { headers = {}, key = null }: { headers?: Record<string, string>; key?: Buffer | null } = {},
): QueryMessage {
  const record: IncomingRecord = {
    topic: 'rates.queries',
    partition: 0,
    offset: 7n,
    timestamp: 1,
    key,
    headers: new Map(Object.entries(headers)),
    value: value === null || Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value)),
  }
  return readQuery(record, topics)
}

/** Status and text of a problem. */
function fault(...given: Parameters<typeof read>): string {
  const { question } = read(...given)
  return question instanceof Problem ? `${question.status} ${question.message}` : JSON.stringify(question)
}

describe('a query', () => {
  it.each([
    ['of rates', rates],
    ['that names them', { query: 'rates', ...rates, other: 5 }],
    ['with nulls and empty texts, which count as left out', { ...rates, query: null, explain: '', format: null }],
  ])('%s', (_, value) => {
    const asked = { from: 18628, to: 18637, origin: 'CNSGH', destination: 'world', explain: false, format: undefined }
    expect(read(value).question).toEqual({ query: 'rates', asked })
  })

  it('of rates as CSV, explained', () => {
    expect(read({ ...rates, explain: 'true', format: 'csv' }).question).toMatchObject({
      asked: { explain: true, format: 'csv' },
    })
  })

  it('of a batch, and of its errors', () => {
    expect(read({ query: 'batch', id: 'a' }).question).toEqual({ query: 'batch', id: 'a', dryRun: false })
    expect(read({ query: 'batch', id: 'a b', dryRun: 'true' }).question).toMatchObject({ id: 'a b', dryRun: true })
    const errors = { query: 'errors', id: 'a', dryRun: false }
    expect(read({ query: 'errors', id: 'a' }).question).toEqual({ ...errors, format: 'json' })
    expect(read({ query: 'errors', id: 'a', format: 'ndjson' }).question).toEqual({ ...errors, format: 'ndjson' })
  })

  it('is answered where it wants to be, with what it carries', () => {
    const headers = { 'reply-to': 'acme.answers', 'correlation-id': 'é 1', chunk: 'x', 'batch-id': '%' }
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    expect(read(rates, { headers: { ...headers, traceparent }, key: Buffer.from('k') })).toMatchObject({
      replyTopic: 'acme.answers',
      key: Buffer.from('k'),
      headers: { 'correlation-id': 'é 1', traceparent },
      question: { query: 'rates' },
    })
    expect(read(rates)).toMatchObject({ replyTopic: 'rates.replies', key: null, headers: {} })
  })
})

describe('what is wrong with a query', () => {
  it.each<[string, unknown]>([
    ['400 the record has no value', null],
    ['400 the record has no value', Buffer.alloc(0)],
    [`413 ${MAX_QUERY_BYTES + 1} bytes; a query may have ${MAX_QUERY_BYTES}`, Buffer.alloc(MAX_QUERY_BYTES + 1)],
    ['400 it is no JSON object', []],
    ['400 it is no JSON object', 5],
    ['400 it is no JSON object', Buffer.from('null')],
    ['400 query: "prices" is none of rates, batch, errors', { query: 'prices' }],
    ['400 query: "toString" is none of rates, batch, errors', { query: 'toString' }],
    ['400 query: a text is expected, in quotes', { query: 1 }],
    ['400 explain: a text is expected, in quotes', { ...rates, explain: true }],
    ['400 orig_code: a text is expected, in quotes', { ...rates, orig_code: ['CNSGH'] }],
    ['400 orig_code is too long', { ...rates, orig_code: 'x'.repeat(1001) }],
    ['400 Invalid date arguments', {}],
    ['400 Invalid location arguments', { ...rates, dest_code: '' }],
    ['400 Invalid explain argument', { ...rates, explain: 'yes' }],
    ['400 Range too long', { ...rates, date_to: '2041-01-01' }],
    ['400 Invalid format argument', { ...rates, format: 'ndjson' }],
    ['400 id: is missing', { query: 'batch' }],
    ['400 id: is missing', { query: 'errors', id: '' }],
  ])('%s', (expected, value) => {
    expect(fault(value)).toBe(expected)
  })

  it.each([Buffer.from('{"query":'), Buffer.from('[['.repeat(30_000)), Buffer.from([0x7b, 0xff, 0x7d])])(
    'no JSON in UTF-8: %#',
    (value) => {
      expect(fault(value)).toMatch(/^400 it is no JSON in UTF-8: /)
    },
  )

  it('names the wrong value of a list', () => {
    expect(fault({ query: 'errors', id: 'a', format: 'xml' })).toMatch(/^400 format: /)
    expect(fault({ query: 'batch', id: 'a', dryRun: 'yes' })).toMatch(/^400 dryRun: /)
  })

  it.each([
    ['reply-to', 'a b', 'the name of a topic'],
    ['correlation-id', 'a\nb', 'up to 200 characters, none of them a control character'],
    ['traceparent', '00', 'a W3C traceparent'],
  ])('the header %s: it is told, and what is right of the others is carried', (name, value, rule) => {
    const right = { 'reply-to': 'acme.answers', 'correlation-id': 'c' }
    const { question, headers, replyTopic } = read(rates, { headers: { ...right, [name]: value } })
    expect((question as Problem).message).toBe(`header ${name}: ${JSON.stringify(value)} is not ${rule}`)
    expect(replyTopic).toBe(name === 'reply-to' ? 'rates.replies' : 'acme.answers')
    expect(headers).toEqual(name === 'correlation-id' ? {} : { 'correlation-id': 'c' })
  })

  it('a topic that is not on the list: it is answered on the default one', () => {
    const given = { headers: { 'reply-to': 'rates.batches' } }
    expect(fault(rates, given)).toBe('400 header reply-to: "rates.batches" is not on the platform\'s list')
    expect(read(rates, given).replyTopic).toBe('rates.replies')
  })

  it('a key that an answer could not carry', () => {
    expect(fault(rates, { key: Buffer.alloc(MAX_KEY_BYTES + 1) })).toBe('400 the key has more than 1024 bytes')
    expect(read(rates, { key: Buffer.alloc(MAX_KEY_BYTES + 1) }).key).toBeNull()
    expect(read(rates, { key: Buffer.alloc(MAX_KEY_BYTES) }).question).toMatchObject({ query: 'rates' })
  })

  it('a record batch that could not be unpacked', () => {
    expect(fault(null, { headers: { [UNREADABLE]: 'too large' } })).toBe('400 the record batch: too large')
  })
})
