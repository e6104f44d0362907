import { describe, expect, it } from '@jest/globals'
import { type Reply } from '@rates/core/batch'
import { describeReply, exitCodeOf, type Sending } from './outcome.ts'
import { secondsToVisible } from './deliver.ts'

const reply = (change: Partial<Reply>): Reply => ({
  replyId: 'b/succeeded',
  batchId: 'b',
  correlationId: null,
  state: 'succeeded',
  dryRun: false,
  source: null,
  rows: { accepted: 1_000_000, rejected: 0 },
  chunks: 32,
  digest: null,
  error: null,
  errors: [],
  links: { self: '/batches/b', errors: '/batches/b/errors' },
  createdAt: '2026-01-31T08:00:00.000Z',
  finishedAt: '2026-01-31T08:00:02.000Z',
  ...change,
})
const sending: Sending = {
  name: 'prices.csv',
  visibleSeconds: 0.42,
  repeated: false,
  hidden: undefined,
  url: 'http://api',
}
const rejected = reply({
  state: 'failed',
  rows: { accepted: 199_997, rejected: 3 },
  error: { code: 'rejected_rows', message: '', rules: { not_a_date: 1, unknown_port: 2 } },
  errors: [
    { row: 17, field: 'orig_code', value: 'XX\u0007', rule: 'unknown_port' },
    { row: 150_001, field: null, value: '3 columns', rule: 'columns' },
  ],
})

describe('describeReply', () => {
  it('tells a success in one line', () => {
    expect(describeReply(reply({}), sending)).toBe(
      'succeeded: 1 000 000 rows in 32 chunks, visible 0.4 s after the last was sent',
    )
    expect(describeReply(reply({ dryRun: true, rows: { accepted: 1, rejected: 0 }, chunks: 1 }), sending)).toBe(
      'succeeded (dry run): 1 row in 1 chunk, all of them good; nothing was stored',
    )
    expect(describeReply(reply({}), { ...sending, repeated: true })).toBe(
      'succeeded before, at 2026-01-31 08:00:02 UTC: 1 000 000 rows in 32 chunks; sending it again changed nothing',
    )
  })

  it('tells a rejection by rule and by row, and where the rest is', () => {
    expect(describeReply(rejected, sending))
      .toBe(`failed: prices.csv: 3 of 200 000 rows break a rule; nothing of the batch is visible

  unknown_port  2  no port has this code; it can be added: rates ports import FILE.csv, or PUT /ports/CODE
  not_a_date    1  a day is written YYYY-MM-DD and is in the calendar

The first 2 of them:

      row  field      value      rule
       17  orig_code  XX\\u{7}    unknown_port
  150 001  -          3 columns  columns

Rows are counted from 1, without a header line.
All of them, with their text: curl 'http://api/batches/b/errors?format=csv'`)
  })

  it('names the command where the API is not known', () => {
    expect(describeReply({ ...rejected, dryRun: true }, { ...sending, url: undefined })).toContain(
      'All of them, with their text: rates show b --errors --dry-run',
    )
  })

  it('tells other outcomes by their code and message', () => {
    const error = { code: 'incomplete', message: 'of 7 chunks these never came: 3' }
    expect(describeReply(reply({ state: 'failed', error }), sending)).toBe(
      'failed (incomplete): prices.csv: of 7 chunks these never came: 3',
    )
    const gone = { code: 'object_not_found', message: 'there is no s3://b/prices.csv' }
    expect(describeReply(reply({ state: 'failed', error: gone }), { ...sending, name: 's3://b/prices.csv' })).toBe(
      'failed (object_not_found): there is no s3://b/prices.csv',
    )
    expect(describeReply(reply({ state: 'id_conflict', error: { code: 'x', message: 'y' } }), sending)).toBe(
      'refused (id_conflict): prices.csv: y\nAnother batch has the id b, and stays as it is; send this one under a new id.',
    )
  })
})

describe('exitCodeOf', () => {
  it.each([
    ['succeeded', 0],
    ['failed', 1],
    ['id_conflict', 1],
    ['unreadable', 1],
    ['cancelled', 4],
  ] as const)('%s: %d', (state, code) => expect(exitCodeOf({ state })).toBe(code))
})

describe('secondsToVisible', () => {
  const sent = { clock: Date.parse('2026-01-31T08:00:01.600Z'), monotonic: 1000 }
  it('is what the platform says, if that can be', () => {
    expect(secondsToVisible({ reply: reply({}), at: 1500 }, sent)).toBeCloseTo(0.4)
  })
  it('is what was seen here, where clocks differ', () => {
    const late = reply({ finishedAt: '2026-01-31T09:00:00.000Z' })
    const early = reply({ finishedAt: '2026-01-31T07:00:00.000Z' })
    for (const each of [late, early]) expect(secondsToVisible({ reply: each, at: 1500 }, sent)).toBeCloseTo(0.5)
  })
})
