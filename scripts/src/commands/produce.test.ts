import { describe, expect, it } from '@jest/globals'
import { BATCH_ID } from '@rates/core/wire'
import { newBatchId } from '../batch-options.ts'
import { readRequest } from './produce.ts'

const now = new Date('2026-01-31T08:00:00Z')
const defaults = { compress: 'none', wait: true, timeout: 3600 } as const
const read = (options: Partial<Parameters<typeof readRequest>[1]>) =>
  readRequest('prices.csv', { ...defaults, ...options }, now)

describe('readRequest', () => {
  it('takes a duration for a deadline', () => {
    expect(read({ deadline: '+10m', onDeadline: 'flag' }).batch).toMatchObject({
      deadline: '2026-01-31T08:10:00.000Z',
      onDeadline: 'flag',
    })
  })

  it('makes an id that the wire takes, another one each time', () => {
    expect(newBatchId(now)).toMatch(/^cli-20260131T080000-[0-9a-f]{6}$/)
    expect(read({}).batch.batchId).toMatch(BATCH_ID)
    expect(read({}).batch.batchId).not.toBe(read({}).batch.batchId)
  })

  it('names the batch as other commands find it', () => {
    expect(read({ batchId: 'a' }).named).toBe('a')
    expect(read({ batchId: 'a', dryRun: true, url: 'http://b' }).named).toBe('a --dry-run --url http://b')
  })

  it.each([
    [{ batchId: 'a b' }, '--batch-id: "a b"'],
    [{ source: 'a\n' }, '--source: '],
    [{ replaces: '' }, '--replaces: ""'],
    [{ replyTo: 'a/b' }, '--reply-to: "a/b"'],
    [{ deadline: 'soon' }, '--deadline: "soon"'],
    [{ deadline: '2026-01-31T07:00:00Z' }, '2026-01-31T07:00:00.000Z has passed'],
    [{ onDeadline: 'flag' as const }, '--on-deadline needs a --deadline'],
  ])('refuses %j as wrong usage', (options, message) => {
    expect(() => read(options)).toThrow(expect.objectContaining({ code: 2, message: expect.stringContaining(message) }))
  })

  it('lets a deadline that has passed be flagged', () => {
    expect(read({ deadline: '2026-01-31T07:00:00Z', onDeadline: 'flag' }).batch.onDeadline).toBe('flag')
  })
})
