import { describe, expect, it } from '@jest/globals'
import { RowTooLong } from '@rates/core/chunk-cutter'
import { EmptyBatch, TooManyChunks } from '@rates/service/cut-batch'
import { NoSuchObject, ObjectChanged, StoreFault, StoreRefused } from '@rates/service/object-store'
import { ObjectMismatch, ObjectUnreadable, OtherObject, UnusableName } from './object-content.ts'
import { judge, pauseSeconds, type Standing } from './object-patience.ts'

const fresh: Standing = { sinceStarted: 0, sinceRefused: null, waits: 0, attempts: 1, wasThere: false }
const place = { bucket: 'b', key: 'k' }
const judged = (error: unknown, standing: Partial<Standing> = {}) => judge(error, { ...fresh, ...standing }, 60)

describe('what a fault means for an object', () => {
  it.each([
    ['object_changed', new ObjectChanged(place)],
    ['object_changed', new OtherObject('a', 'b')],
    ['object_mismatch', new ObjectMismatch('a', 'b')],
    ['object_unreadable', new ObjectUnreadable('it is none')],
    ['object_unreadable', new RowTooLong(3)],
    ['object_unreadable', new EmptyBatch()],
    ['object_unreadable', new TooManyChunks()],
  ])('for good: %s', (code, error) => {
    expect(judged(error)).toEqual({ kind: 'fail', code, message: error.message })
  })

  it('that there is none: a little later there may be, but not if it was there', () => {
    const error = new NoSuchObject('s3://b/k')
    expect(judged(error)).toMatchObject({ kind: 'wait', reason: 'not_found' })
    expect(judged(error, { sinceStarted: 5 })).toMatchObject({ kind: 'fail', code: 'object_not_found' })
    const message = 'there is no s3://b/k any more'
    expect(judged(error, { wasThere: true })).toEqual({ kind: 'fail', code: 'object_not_found', message })
  })

  it.each([new StoreRefused('s3://b/k', 'AccessDenied'), new StoreFault('s3://b/k', 'wrong region', false)])(
    'that we are refused: so long as a rotation may take',
    (error) => {
      expect(judged(error)).toMatchObject({ kind: 'wait', reason: 'refused', seconds: 2 })
      expect(judged(error, { sinceRefused: 59.9 })).toMatchObject({ kind: 'wait' })
      expect(judged(error, { sinceRefused: 60 })).toMatchObject({ kind: 'fail', code: 'object_refused' })
      expect(judge(error, fresh, 0)).toMatchObject({ kind: 'fail', code: 'object_refused' })
    },
  )

  it('that the store is away: for ever', () => {
    const error = new StoreFault('s3://b/k', 'connect ECONNREFUSED', true)
    expect(judged(error, { sinceStarted: 1e6, waits: 1_000 })).toMatchObject({ kind: 'wait', reason: 'store' })
  })

  it('that its store takes no such name: at once', () => {
    const error = new UnusableName(new StoreFault('s3://b/k', 'it is no version', false))
    expect(judged(error)).toMatchObject({ kind: 'fail', code: 'object_not_found' })
  })

  it.each([
    Object.assign(new Error('permission denied for table batches'), { code: '42501' }),
    Object.assign(new Error('not authorized'), { name: 'KafkaJSProtocolError', type: 'TOPIC_AUTHORIZATION_FAILED' }),
    new Error('it gave up', { cause: Object.assign(new Error(), { type: 'CLUSTER_AUTHORIZATION_FAILED' }) }),
    Object.assign(new Error('wrong password'), { name: 'KafkaJSSASLAuthenticationError' }),
  ])('that Kafka or PostgreSQL does not let us: for ever, no object is the cause: %s', (error) => {
    expect(judged(error, { attempts: 3, waits: 1_000 })).toMatchObject({ kind: 'wait', reason: 'denied' })
  })

  it.each([
    [1, 10],
    [2, 60],
    [3, 300],
    [6, 300],
  ])('that nobody foresaw: what was there %d times rests up to %d s', (attempts, longest) => {
    const { seconds } = judged(new TypeError('undefined is not a function'), { attempts }) as { seconds: number }
    expect(seconds).toBeGreaterThanOrEqual(longest / 2)
    expect(seconds).toBeLessThanOrEqual(longest)
  })
})

it('pauses grow to half a minute', () => {
  for (const [waits, longest] of [
    [0, 0.5],
    [1, 1],
    [3, 4],
    [6, 30],
    [1_000, 30],
  ] as const) {
    const pause = pauseSeconds(waits)
    expect(pause).toBeGreaterThanOrEqual(longest / 2)
    expect(pause).toBeLessThanOrEqual(longest)
  }
})
