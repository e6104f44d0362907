import { describe, expect, it } from '@jest/globals'
import { createLogger } from '@rates/service/log'
import { type Answers } from './answers.ts'
import { ClaimTooLarge, type Claim } from './claim-store.ts'
import { Problem } from './problem.ts'
import { isWaitedFor, QueryAnswerer, type FreshAnswer } from './query-answerer.ts'

const question = { query: 'batch', id: 'a', dryRun: false } as const
const errors = { query: 'errors', id: 'a', dryRun: false, format: 'csv' } as const

/** Who answers by what PostgreSQL, or a bug, throws. */
function answerer(
  batch: () => Promise<unknown>,
  put: (content: AsyncIterable<Uint8Array>) => Promise<Claim> = () => Promise.reject(new Error('not put')),
): QueryAnswerer {
  const answers = { batch, errors: batch } as unknown as Answers
  const log = createLogger('test', 'silent')
  return new QueryAnswerer({ answers, claims: { put }, publicUrl: 'http://r', maxBytes: 10, log })
}

const thrown = (more: object) => Object.assign(new Error('thrown'), more)
const told = ({ status, body }: FreshAnswer): unknown => [status, JSON.parse(body.toString())]

describe('a query that fails', () => {
  it('is answered by its problem', async () => {
    const problem = new Problem(404, 'There is none.', { extensions: { code: 'c' } })
    const answer = await answerer(() => Promise.reject(problem)).answer({ question })
    expect(answer.contentType).toBe('application/problem+json')
    const document = { type: 'about:blank', title: 'Not Found', status: 404, detail: 'There is none.', code: 'c' }
    expect(told(answer)).toEqual([404, document])
  })

  it('for the limit of a statement: it is tried three times, then answered', async () => {
    let tries = 0
    const answer = await answerer(() => Promise.reject(thrown({ code: '57014', tries: ++tries }))).answer({ question })
    expect(told(answer)).toMatchObject([503, { code: 'took_too_long' }])
    expect(tries).toBe(3)
    let again = 0
    const slow = answerer(() =>
      ++again < 3 ? Promise.reject(thrown({ code: '57014' })) : Promise.resolve({ body: 'ok' }),
    )
    expect(await slow.answer({ question })).toMatchObject({ status: 200, body: Buffer.from('ok') })
  })

  it('for the limit of node-postgres: just so', async () => {
    const limit = (): Promise<never> => Promise.reject(new Error('Query read timeout'))
    expect(told(await answerer(limit).answer({ question }))).toMatchObject([503, { code: 'took_too_long' }])
  })

  it.each(['57P01', 'ECONNREFUSED', '42P01', '42501'])('waits for %s to pass', async (code) => {
    const error = thrown({ code })
    await expect(answerer(() => Promise.reject(error)).answer({ question })).rejects.toBe(error)
    expect(isWaitedFor(error)).toBe(true)
  })

  it('by a fault of ours is answered so, without its insides', async () => {
    const answer = await answerer(() => Promise.reject(new TypeError('secret'))).answer({ question })
    expect(told(answer)).toMatchObject([500, { title: 'Internal Server Error' }])
    expect(answer.body.toString()).not.toContain('secret')
  })
})

describe('an answer above the limit', () => {
  const claim: Claim = {
    id: 'i',
    bytes: 22,
    sha256: 'ab',
    contentType: 'text/csv',
    expiresAt: new Date('2026-01-01T00:00:00Z'),
  }
  async function* pieces(fault?: Error): AsyncGenerator<string> {
    yield await Promise.resolve('12345678é') // ten bytes
    yield '1'
    if (fault) throw fault
    yield '2345678901'
  }
  const answer = (fault?: Error) => Promise.resolve({ contentType: 'text/csv', body: pieces(fault) })

  it('is put away as a whole, and its claim check is the answer', async () => {
    const parts: Uint8Array[] = []
    const store = answerer(
      () => answer(),
      async (content) => {
        for await (const part of content) parts.push(part)
        return claim
      },
    )
    const { body, ...rest } = await store.answer({ question: errors })
    expect(rest).toEqual({ status: 200, contentType: 'application/vnd.rates.claim+json', claim })
    const { id, ...told } = claim
    expect(JSON.parse(body.toString())).toEqual({
      ...told,
      url: `http://r/claims/${id}`,
      expiresAt: '2026-01-01T00:00:00.000Z',
    })
    expect(Buffer.concat(parts).toString()).toBe('12345678é12345678901')
  })

  it('of just the limit is sent as it is', async () => {
    const whole = answerer(() => Promise.resolve({ contentType: 'text/csv', body: '1234567890' }))
    expect(await whole.answer({ question })).toMatchObject({ contentType: 'text/csv', body: Buffer.from('1234567890') })
  })

  it('that is too large for a claim is a problem, and one that cannot be put away waits', async () => {
    const tooLarge = answerer(
      () => answer(),
      () => Promise.reject(new ClaimTooLarge(5)),
    )
    expect(told(await tooLarge.answer({ question: errors }))).toMatchObject([413, { code: 'answer_too_large' }])
    const refused = answerer(
      () => answer(),
      () => Promise.reject(new Error('AccessDenied')),
    )
    const fault: unknown = await refused.answer({ question: errors }).catch((error: unknown) => error)
    expect(isWaitedFor(fault)).toBe(true)
  })

  it('that breaks off while it is put away is what broke it', async () => {
    const store = answerer(
      () => answer(new TypeError('a bug')),
      async (content) => {
        for await (const part of content) void part
        return claim
      },
    )
    expect(told(await store.answer({ question: errors }))).toMatchObject([500, {}])
  })
})
