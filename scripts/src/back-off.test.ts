import { describe, expect, it } from '@jest/globals'
import { ApiFailure, notTheApi, unreachable } from './api.ts'
import { passes, patiently, pause } from './back-off.ts'
import { EXIT } from './exit.ts'

const answered = (status: number, retryAfter: string | null = null): ApiFailure =>
  new ApiFailure(EXIT.unreachable, `answers ${status}`, undefined, { status, problem: undefined, retryAfter })
const refused = unreachable('http://api', new Error('connect ECONNREFUSED'))

describe('passes', () => {
  it('knows what may be asked again', () => {
    for (const status of [408, 425, 429, 502, 503, 504]) expect(passes(answered(status))).toBe(true)
    for (const status of [400, 404, 409, 413, 500]) expect(passes(answered(status))).toBe(false)
    expect(passes(refused)).toBe(true)
    expect(passes(notTheApi('http://api', 'it sends no JSON', new SyntaxError('x')))).toBe(false)
    expect(passes(new Error('a bug'))).toBe(false)
  })
})

describe('pause', () => {
  it('grows to ten seconds, and differs', () => {
    expect([1, 2, 3, 4, 7, 100].map((failures) => pause(failures, 0, 1))).toEqual([
      250, 500, 1000, 2000, 10_000, 10_000,
    ])
    expect(pause(3, 0, 0)).toBe(500)
  })

  it('is never shorter than the API asks for', () => {
    expect(pause(1, 2, 0)).toBe(2000)
    expect(pause(1, 2, 1)).toBe(2500)
    expect(pause(100, 2, 0)).toBe(5000)
  })
})

describe('Retry-After', () => {
  it('is seconds, or a date', () => {
    expect(answered(503, '3').retryAfterSeconds).toBe(3)
    const soon = answered(503, new Date(Date.now() + 60_000).toUTCString()).retryAfterSeconds!
    expect(soon).toBeGreaterThan(30)
    expect(soon).toBeLessThanOrEqual(60)
    expect(answered(503, new Date(0).toUTCString()).retryAfterSeconds).toBe(0)
    expect(answered(503, 'soon').retryAfterSeconds).toBeUndefined()
  })
})

describe('patiently', () => {
  const signal = new AbortController().signal
  const failing = (...errors: Error[]) => {
    let asked = 0
    const work = async (): Promise<string> => {
      const error = errors[asked++]
      if (error) throw error
      return 'done'
    }
    return { work, asked: () => asked }
  }

  it('asks again, says why, and that it goes on', async () => {
    const told: (string | undefined)[] = []
    const { work } = failing(refused, answered(503))
    const options = { seconds: 60, signal, onTrouble: (reason: string | undefined) => void told.push(reason) }
    expect(await patiently(work, options)).toBe('done')
    expect(told).toEqual(['the API does not answer', 'the API answers 503', undefined])
  })

  it('does not ask again for what will not pass', async () => {
    const { work, asked } = failing(answered(413))
    await expect(patiently(work, { seconds: 60, signal, onTrouble: () => undefined })).rejects.toThrow('answers 413')
    expect(asked()).toBe(1)
  })

  it('gives up when the time is over, which begins with the first failure', async () => {
    const { work, asked } = failing(...Array.from({ length: 100 }, () => refused))
    const given = patiently(work, { seconds: 0.3, signal, onTrouble: () => undefined })
    await expect(given).rejects.toMatchObject({
      name: 'CommandFailure',
      code: EXIT.unreachable,
      message: 'The API at http://api cannot be reached: connect ECONNREFUSED. It was tried for 0.3 s.',
    })
    expect(asked()).toBeGreaterThan(1)
  })

  it('stops when it is told to, also while it waits', async () => {
    const stop = new AbortController()
    const reason = new Error('stopped')
    const { work } = failing(answered(503, '60'), refused)
    const options = { seconds: 3600, signal: stop.signal, onTrouble: () => stop.abort(reason) }
    await expect(patiently(work, options)).rejects.toBe(reason)
  })
})
