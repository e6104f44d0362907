import { describe, expect, it } from '@jest/globals'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { pauseSeconds } from './webhook-sender.ts'
import { readKeys, webhookHeaders } from './webhook-signature.ts'
import { secondsUntil } from './webhook-request.ts'

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const other = `whsec_${Buffer.alloc(64, 'é').toString('base64')}`

describe('a signature', () => {
  it('is the one that the specification’s own libraries test with', () => {
    expect(
      webhookHeaders(
        'msg_p5jXN8AQM9LWM0D4loKWxJek',
        1_614_265_330_999,
        '{"test": 2432232314}',
        readKeys(`${secret}\n`),
      ),
    ).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    })
  })

  it('is there for each secret, and not at all without one', () => {
    const headers = webhookHeaders('a', 1_000, 'b', readKeys(`${secret}\n${other}\n`))
    const [first, second, ...more] = headers['webhook-signature']!.split(' ')
    expect(more).toEqual([])
    expect(first).toBe(webhookHeaders('a', 1_000, 'b', readKeys(secret))['webhook-signature'])
    expect(second).toBe(webhookHeaders('a', 1_000, 'b', readKeys(other))['webhook-signature'])
    expect(Object.keys(webhookHeaders('a', 1_000, 'b', []))).toEqual(['webhook-id', 'webhook-timestamp'])
  })

  it('is found right by what docs/operations.md tells receivers to do, and nothing else is', () => {
    const text = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8')
    const [, example] = /```js\n([^]*?webhook-signature[^]*?)```/.exec(text)!
    const isOurs = (headers: Record<string, string>, body: string, known = secret): boolean => {
      const call = `console.log(isOurs(${JSON.stringify(headers)}, ${JSON.stringify(body)}, ${JSON.stringify(known)}))`
      return (
        execFileSync(process.execPath, ['--input-type=module', '-e', `${example}\n${call}`]).toString() === 'true\n'
      )
    }
    const [now, body] = [Date.now(), '{"source":"Überseehändler"}']
    const headers = webhookHeaders('id', now, body, readKeys(`${other} ${secret}`))
    expect(isOurs(headers, body)).toBe(true)
    expect(isOurs(headers, body, other)).toBe(true)
    expect(isOurs(headers, `${body} `)).toBe(false)
    expect(isOurs({ ...headers, 'webhook-id': 'id2' }, body)).toBe(false)
    expect(isOurs(webhookHeaders('id', now, body, []), body)).toBe(false)
    expect(isOurs(webhookHeaders('id', now - 600_000, body, readKeys(secret)), body)).toBe(false)
  })
})

describe('a file of secrets', () => {
  it.each([
    ['', 'nothing'],
    ['secret', 'another format'],
    ['whsec_', 'nothing behind the prefix'],
    [`whsec_${Buffer.alloc(23).toString('base64')}`, 'too short'],
    [`whsec_${Buffer.alloc(65).toString('base64')}`, 'too long'],
    [`${secret}x`, 'no base64 to the end'],
    [`${secret} secret`, 'a second one that is none'],
    [secret.replace('+', '-').replace('Q', '_'), 'base64url'],
  ])('%j is refused: %s', (text) => {
    expect(() => readKeys(text)).toThrow(
      new RangeError('WEBHOOK_SECRET_FILE is a file that does not hold whsec_ and the base64 of 24 to 64 bytes'),
    )
  })
})

describe('the next attempt', () => {
  it('comes after 5 s, later each time, never later than after an hour, and not all at once', () => {
    const pauses = Array.from({ length: 20 }, (_, attempts) => pauseSeconds(attempts))
    pauses.forEach((pause, attempts) => {
      const longest = Math.min(5 * 2 ** attempts, 3_600)
      expect(pause).toBeGreaterThanOrEqual(longest / 2)
      expect(pause).toBeLessThanOrEqual(longest)
    })
    expect(new Set(Array.from({ length: 50 }, () => pauseSeconds(3))).size).toBeGreaterThan(10)
    expect(pauseSeconds(2_000)).toBeLessThanOrEqual(3_600)
  })

  it('comes when the receiver asks for it, an hour later at most', () => {
    expect(pauseSeconds(0, 60)).toBe(60)
    expect(pauseSeconds(9, 60)).toBeGreaterThan(60)
    expect(pauseSeconds(0, 7_200)).toBe(3_600)
  })

  it.each([
    [undefined, undefined],
    ['120', 120],
    ['Sat, 21 Nov 2026 12:00:30 GMT', 30],
    ['Sat, 21 Nov 2026 11:00:00 GMT', 0],
    ['soon', undefined],
    ['-3', undefined],
  ])('Retry-After: %s is %s s', (header, seconds) => {
    expect(secondsUntil(header, Date.UTC(2026, 10, 21, 12))).toBe(seconds)
  })
})
