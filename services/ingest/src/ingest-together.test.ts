import { describe, expect, it } from '@jest/globals'
import { agree, mayJoin, type Fetched } from './ingest-together.ts'

const fetched = (headers: Record<string, string>, suspect = false): Fetched => ({
  record: {
    topic: 't',
    partition: 0,
    offset: 0n,
    key: null,
    timestamp: 0,
    headers: new Map(Object.entries(headers)),
    value: null,
  },
  context: { signal: new AbortController().signal, suspect },
})
const chunk = { 'batch-id': 'a', chunk: '0' }

describe('records that may be stored together', () => {
  it.each([
    ['chunks of one batch', fetched(chunk), fetched({ ...chunk, chunk: '1' }), true],
    ['chunks of two batches', fetched(chunk), fetched({ ...chunk, 'batch-id': 'b' }), false],
    ['a chunk and a whole batch', fetched(chunk), fetched({ 'batch-id': 'a' }), false],
    ['whole batches without an id', fetched({}), fetched({}), false],
    ['a chunk and a control', fetched(chunk), fetched({ ...chunk, control: 'cancel' }), false],
    ['a suspect first', fetched(chunk, true), fetched(chunk), false],
    ['a suspect second', fetched(chunk), fetched(chunk, true), false],
  ])('%s', (_, first, other, expected) => {
    expect(mayJoin(first, other)).toBe(expected)
  })
})

describe('chunks that are not known yet', () => {
  const chunks = (...told: [chunk: number, total?: number][]) =>
    told.map(([chunk, total]) => ({ incoming: { chunk, total } }))
  it.each([
    ['without a total', chunks([0], [7]), true],
    ['with a total on one', chunks([0], [7, 8]), true],
    ['with the same total', chunks([0, 8], [7, 8]), true],
    ['with two totals', chunks([0, 8], [7, 9]), false],
    ['one past the total', chunks([8], [7, 8]), false],
    ['the same one twice', chunks([3], [3]), false],
  ])('%s', (_, told, expected) => {
    expect(agree(told)).toBe(expected)
  })
})
