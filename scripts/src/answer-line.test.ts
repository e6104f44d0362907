import { describe, expect, it } from '@jest/globals'
import { asLine, problemOf } from './answer-line.ts'

const answered = (contentType: string, body: string) =>
  asLine({ line: 7, status: 200, contentType, body: Buffer.from(body) })

describe('asLine', () => {
  it('has JSON as it came, to the last digit, on one line', () => {
    expect(answered('application/json', '{"price":1232.66666666666666667,\n "days":[1]}\n')).toBe(
      '{"line":7,"status":200,"contentType":"application/json","body":{"price":1232.66666666666666667,  "days":[1]} }',
    )
  })

  it('has a problem as JSON, too', () => {
    expect(answered('application/problem+json; charset=utf-8', '{"title":"x"}')).toContain('"body":{"title":"x"}}')
  })

  it.each([
    ['text/csv', 'day,price\r\n2026-01-31,1\r\n'],
    ['application/x-ndjson', '{"row":1}\n{"row":2}\n'],
    ['application/json', '{"half"'],
    ['application/json', ''],
  ])('has what is %s as text: %j', (contentType, text) => {
    const line = answered(contentType, text)
    expect(line).not.toContain('\n')
    expect(JSON.parse(line)).toEqual({ line: 7, status: 200, contentType, body: text })
  })

  it('says where a body is that is not here, and that there is no answer', () => {
    const claim = { url: '/claims/x', contentType: 'text/csv', bytes: 1, sha256: '0', expiresAt: 'then' }
    expect(JSON.parse(asLine({ status: 200, contentType: 'text/csv', claim, error: 'gone' }))).toEqual({
      status: 200,
      contentType: 'text/csv',
      claim,
      error: 'gone',
    })
    expect(JSON.parse(asLine({ line: 1, error: 'late' }))).toEqual({ line: 1, status: null, error: 'late' })
  })
})

describe('problemOf', () => {
  it.each([
    ['{"title":"Bad Request","detail":"Range too long"}', 'Range too long'],
    ['{"title":"Bad Request"}', 'Bad Request'],
    ['{"other":1}', '{"other":1}'],
    ['null', 'null'],
    ['no JSON', 'no JSON'],
  ])('of %s', (text, words) => {
    expect(problemOf({ status: 400, contentType: '', value: Buffer.from(text) })).toBe(words)
  })
})
