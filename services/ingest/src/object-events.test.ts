import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { readObjectEvents } from './object-events.ts'

const read = (notification: unknown) => readObjectEvents(Buffer.from(JSON.stringify(notification)), ['prices'])

/** A record as AWS sends it. */
const record = (object: object, more: object = {}) => ({
  eventVersion: '2.1',
  eventSource: 'aws:s3',
  awsRegion: 'eu-west-1',
  eventTime: '2026-11-21T08:00:00.123Z',
  eventName: 'ObjectCreated:Put',
  s3: {
    s3SchemaVersion: '1.0',
    bucket: { name: 'prices', arn: 'arn:aws:s3:::prices' },
    object: { key: 'a.csv', size: 5, eTag: '0123abcd', sequencer: '0055AED6DCD90281E5', ...object },
  },
  ...more,
})

describe('notifications of a new object', () => {
  it("are read as AWS sends them: the key is encoded as in a URL's query", () => {
    const key = 'a+folder/%C3%BC%2B%25+%26.csv'
    expect(read({ Records: [record({ key, versionId: 'v1' })] })).toEqual({
      created: [{ bucket: 'prices', key: 'a folder/ü+% &.csv', etag: '0123abcd', versionId: 'v1', index: 0 }],
      foreign: 0,
      fault: undefined,
    })
  })

  it('are read as MinIO sends them', () => {
    const [sent] = [record({ key: 'day%2Fa.csv' }, { eventName: 's3:ObjectCreated:CompleteMultipartUpload' })]
    const notification = { EventName: 's3:ObjectCreated:Put', Key: 'prices/day/a.csv', Records: [sent] }
    expect(read(notification)).toEqual({
      created: [{ bucket: 'prices', key: 'day/a.csv', etag: '0123abcd', index: 0 }],
      foreign: 0,
      fault: undefined,
    })
  })

  it('are read as versitygw sends them: the key as it is, the ETag in quotes', () => {
    const key = 'a folder/ü+% &.csv'
    const sent = record({ key, eTag: '"8b04d5e3775d298e78455efc5ca404d5"', versionId: null })
    const bucket = { name: 'prices', arn: `arn:aws:s3:::/prices/${key}` }
    const notification = { Records: [{ ...sent, eventName: 's3:ObjectCreated:Put', s3: { ...sent.s3, bucket } }] }
    expect(read(notification)).toEqual({
      created: [{ bucket: 'prices', key, etag: '8b04d5e3775d298e78455efc5ca404d5', index: 0 }],
      foreign: 0,
      fault: undefined,
    })
  })

  it('may be several in one record, in their order', () => {
    const { created } = read({ Records: [record({ key: 'b' }), record({ key: 'a' }), record({ key: 'c' })] })
    expect(created.map(({ key }) => key)).toEqual(['b', 'a', 'c'])
  })

  it('keep their place among the records, whatever is skipped before them', () => {
    const skipped = record({ key: 'x' }, { eventName: 'ObjectRemoved:Delete' })
    const { created } = read({ Records: [skipped, record({ key: 'a' }), null, skipped, record({ key: 'b' })] })
    expect(created.map(({ key, index }) => [key, index])).toEqual([
      ['a', 1],
      ['b', 4],
    ])
  })

  it.each(['Put', 'Post', 'Copy', 'CompleteMultipartUpload'])('come by %s', (how) => {
    for (const eventName of [`ObjectCreated:${how}`, `s3:ObjectCreated:${how}`]) {
      expect(read({ Records: [record({}, { eventName })] }).created).toHaveLength(1)
    }
  })
})

describe('objects of other buckets', () => {
  it('are counted, whatever their keys are, and nothing else', () => {
    const foreign = (key: string) => record({ key }, { s3: { bucket: { name: 'claims' }, object: { key, eTag: 'e' } } })
    const { created, ...told } = read({ Records: [foreign('claims/a'), record({ key: 'a' }), foreign('100%')] })
    expect(created.map(({ key, index }) => [key, index])).toEqual([['a', 1]])
    expect(told).toEqual({ foreign: 2, fault: undefined })
  })
})

describe('what is no new object', () => {
  it.each([
    ['a removal', { Records: [record({}, { eventName: 'ObjectRemoved:Delete' })] }],
    ['a tagging', { Records: [record({}, { eventName: 's3:ObjectTagging:Put' })] }],
    // As MinIO calls them: the tags may be ours.
    ...['PutTagging', 'DeleteTagging', 'PutRetention', 'PutLegalHold', 'Put:More'].map((how): [string, object] => [
      `${how} of an object`,
      { Records: [record({}, { eventName: `s3:ObjectCreated:${how}` })] },
    ]),
    ['an empty object', { Records: [record({ size: 0 })] }],
    ['a folder', { Records: [record({ key: 'folder/' })] }],
    ['a folder whose slash is encoded', { Records: [record({ key: 'folder%2F' })] }],
    ['the test event', { Service: 'Amazon S3', Event: 's3:TestEvent', Bucket: 'prices' }],
    ['nothing', { Records: [] }],
  ])('%s is skipped', (_, notification) => {
    expect(read(notification)).toEqual({ created: [], foreign: 0, fault: undefined })
  })
})

describe('what cannot be read', () => {
  it.each([
    ['no JSON', Buffer.from('{"Records": ['), 'it is not JSON'],
    ['no value', null, 'it is not JSON'],
    ['no notification', Buffer.from('[1]'), 'it has no "Records"'],
    ['too much', Buffer.alloc((1 << 20) + 1, ' '), 'it has 1048577 bytes; a notification may have 1048576'],
  ])('%s', (_, value, fault) => {
    expect(readObjectEvents(value, ['prices'])).toEqual({ created: [], foreign: 0, fault })
  })

  it.each([
    ['no bucket', record({}, { s3: { object: { key: 'a' } } }), 'bucket is missing'],
    ['no key', record({ key: undefined }), 'key is missing'],
    ['a key that is not encoded', record({ key: '100%' }), 'key is not URL-encoded'],
    ['a key with a NUL', record({ key: 'a%00' }), 'key is not the key of an object'],
    ['a key that names others', record({ key: 'a/../b' }), 'key has a part between slashes that is empty, "." or ".."'],
    ['no kind', record({}, { eventName: undefined }), 'eventName is missing'],
    ['null', null, 'eventName is missing'],
  ])('%s is told by its place, and the others are taken', (_, broken, fault) => {
    const { created, fault: told } = read({ Records: [record({ key: 'a' }), broken, record({ key: 'b' })] })
    expect(told).toBe(`its record 1: ${fault}`)
    expect(created.map(({ key }) => key)).toEqual(['a', 'b'])
  })

  it('is told of the first ten, and how many there are', () => {
    const { fault } = read({ Records: Array(10_000).fill(null) })
    expect(fault!.split('; ')).toHaveLength(11)
    expect(fault).toMatch(/its record 9: eventName is missing; and 9990 more$/)
  })

  it('never throws, whatever comes, and what it reads can be stored', () => {
    const anything = fc.jsonValue()
    const notification = fc.oneof(
      anything,
      fc.record({
        Records: fc.array(
          fc.record({
            eventName: fc.constantFrom('ObjectCreated:Put', 's3:ObjectCreated:Copy', 'ObjectRemoved:Delete'),
            s3: fc.record({
              bucket: fc.oneof(anything, fc.record({ name: fc.oneof(fc.constant('prices'), anything), arn: anything })),
              object: fc.record({
                key: fc.oneof(fc.string({ unit: 'binary' }), anything),
                size: anything,
                eTag: fc.oneof(fc.string(), anything),
                versionId: anything,
              }),
            }),
          }),
        ),
      }),
    )
    fc.assert(
      fc.property(notification, (value) => {
        for (const { key, etag = '' } of read(value).created) {
          expect(`${key}${etag}`.isWellFormed()).toBe(true)
          expect(`${key}${etag}`).not.toContain('\0')
        }
      }),
      { numRuns: 2_000 },
    )
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void readObjectEvents(bytes, ['prices'])))
  })
})
