import { describe, expect, it } from '@jest/globals'
import { objectBatchId } from '@rates/service/object-batch-id'
import { OBJECT_TYPE } from '@rates/core/wire'
import { sha256 } from '@rates/service/compression'
import { planRedrive, readLetter } from './letter.ts'

const TOPICS = { lanes: ['rates.batches', 'rates.batches.bulk'], objects: 'rates.objects' }
const BODY = Buffer.from('CNSHA,NLRTM,2026-01-31,1200\n')

const record = (own: Record<string, string>, ours: Record<string, string> = {}, value: Buffer | null = BODY) => ({
  topic: 'rates.dead-letters',
  partition: 0,
  offset: 17n,
  key: null,
  timestamp: Date.parse('2026-11-21T12:00:01.000Z'),
  headers: new Map(
    Object.entries({
      ...own,
      'dead-letter-reason': 'internal_error',
      'dead-letter-detail': 'it ended three workers',
      'dead-letter-topic': 'rates.batches',
      'dead-letter-partition': '9',
      'dead-letter-offset': '77',
      'dead-letter-timestamp': '2026-11-21T12:00:00.123Z',
      ...ours,
    }),
  ),
  value,
})

function plan(
  own: Record<string, string>,
  ours: Record<string, string> = {},
  state?: string,
  value: Buffer | null = BODY,
) {
  return planRedrive(readLetter(record(own, ours, value)), value, TOPICS, state)
}

describe('planRedrive', () => {
  it('sends a record with its own headers to where it was', () => {
    const own = { 'batch-id': 'b', chunk: '2', chunks: '3', 'content-type': 'text/csv', source: 'acme', 'x-own': '1' }
    expect(plan(own, { 'dead-letter-topic': 'rates.batches.bulk' })).toEqual({
      kind: 'send',
      batchId: 'b',
      record: { topic: 'rates.batches.bulk', headers: { ...own, 'redriven-from': '0-17' }, value: BODY },
    })
  })

  it('gives a whole batch without an id the one that workers give it at its first place', () => {
    const id = `rates.batches-9-77-${Date.parse('2026-11-21T12:00:00.123Z')}`
    expect(plan({})).toMatchObject({ kind: 'send', batchId: id, record: { headers: { 'batch-id': id } } })
    // Set aside once more, it keeps the id, and says whence it came the last time.
    const again = plan({ 'batch-id': id, 'redriven-from': '0-3' }, { 'dead-letter-offset': '99' })
    expect(again).toMatchObject({ batchId: id, record: { headers: { 'batch-id': id, 'redriven-from': '0-17' } } })
  })

  it.each(['succeeded', 'failed', 'cancelled', 'reverted', 'replaced'])(
    'refuses rows of a batch that is %s',
    (state) => {
      expect(plan({ 'batch-id': 'b' }, {}, state)).toEqual({
        kind: 'refused',
        why: `it belongs to batch b, which has ended: ${state}`,
      })
    },
  )

  it('sends what an open batch still waits for, unless it contradicts it', () => {
    expect(plan({ 'batch-id': 'b' }, {}, 'open').kind).toBe('send')
    const conflict = plan({ 'batch-id': 'b' }, { 'dead-letter-reason': 'id_conflict' }, 'open')
    expect(conflict).toEqual({ kind: 'refused', why: 'it contradicts batch b, which is open' })
    expect(plan({ 'batch-id': 'b' }, { 'dead-letter-reason': 'id_conflict' }).kind).toBe('send')
  })

  it('sends a control record, whatever has become of its batch: to repeat one is harmless', () => {
    expect(plan({ 'batch-id': 'b', control: 'cancel' }, {}, 'succeeded', null).kind).toBe('send')
  })

  it.each([
    [
      'was cut',
      {},
      { 'dead-letter-truncated': 'true; it had 2000000 bytes' },
      BODY,
      'it was cut (true; it had 2000000',
    ],
    ['was on another topic', {}, { 'dead-letter-topic': 'other' }, BODY, 'it came from other, which is no lane'],
    ['has no place', {}, { 'dead-letter-offset': '' }, BODY, 'no worker has set it aside'],
    ['has a bad header', { 'batch-id': 'a b' }, {}, BODY, 'its header batch-id is "a b", not 1 to 128'],
    ['is a chunk of nothing', { chunk: '0', 'content-type': 'text/csv' }, {}, BODY, 'a chunk needs it'],
    ['has no value', {}, {}, null, 'it has no value'],
    ['is empty', {}, {}, Buffer.alloc(0), 'it has no value'],
    ['is too large', {}, {}, Buffer.alloc(900_001), 'it has 900001 bytes, and a record may have 900000'],
    ['has another checksum', { sha256: '0'.repeat(64) }, {}, BODY, 'its value has another sha256'],
  ] as const)('refuses one that %s', (_, own, ours, value, why) => {
    expect(plan(own, ours, undefined, value)).toEqual({ kind: 'refused', why: expect.stringContaining(why) })
  })

  describe('of objects', () => {
    const claim = { bucket: 'prices', key: 'a.csv', etag: '8b04' }
    const typed = { 'content-type': OBJECT_TYPE }
    const place = `rates.batches-9-77-${Date.parse('2026-11-21T12:00:00.123Z')}`
    const bytes = (value: object): Buffer => Buffer.from(JSON.stringify(value))

    it('gives a claim the batch that it has wherever it lies', () => {
      const id = objectBatchId(claim)
      expect(plan(typed, {}, 'failed', bytes(claim))).toMatchObject({
        kind: 'send',
        batchId: id,
        record: { topic: 'rates.batches', headers: { ...typed, 'batch-id': id } },
      })
      // Without an ETag it is a batch of its own, by its first place.
      expect(plan(typed, {}, undefined, bytes({ bucket: 'prices', key: 'a.csv' }))).toMatchObject({ batchId: place })
    })

    it('refuses a claim that would be set aside again', () => {
      for (const value of [BODY, bytes({ key: 'a.csv' }), null]) {
        expect(plan(typed, {}, undefined, value)).toEqual({ kind: 'refused', why: expect.stringContaining('no claim') })
      }
    })

    it('sends an event to the topic of events, and gives it no batch', () => {
      const sent = plan({}, { 'dead-letter-topic': 'rates.objects' }, undefined, bytes({ Records: [] }))
      expect(sent).toEqual({
        kind: 'send',
        batchId: undefined,
        record: { topic: 'rates.objects', headers: { 'redriven-from': '0-17' }, value: bytes({ Records: [] }) },
      })
    })
  })

  it('takes the right checksum', () => {
    expect(plan({ sha256: sha256(BODY).toString('hex') }).kind).toBe('send')
  })
})
