import { describe, expect, it } from '@jest/globals'
import { AnswerInbox } from './answer-inbox.ts'

const record = (headers: Record<string, string>, value = '{}') => ({
  headers: new Map(Object.entries(headers)),
  value: Buffer.from(value),
})

describe('AnswerInbox', () => {
  it('takes the first answer to each of its queries and no other record', async () => {
    const inbox = new AnswerInbox(60_000)
    const one = inbox.expect('1')
    const two = inbox.expect('2')
    one.startClock()
    two.startClock()
    inbox.take({ headers: new Map(), value: null })
    inbox.take(record({ 'correlation-id': '3', status: '200' }))
    inbox.take(record({ 'correlation-id': '1', 'batch-id': 'a' })) // a batch's reply
    inbox.take(record({ 'correlation-id': '1', status: 'fine' }))
    inbox.take(record({ 'correlation-id': '2', status: '404', 'content-type': 'application/problem+json' }, 'two'))
    inbox.take(record({ 'correlation-id': '1', status: '200', 'content-type': 'application/json' }, 'one'))
    inbox.take(record({ 'correlation-id': '1', status: '500', 'content-type': 'text/csv' }, 'again'))
    expect(await one.answer).toEqual({ status: 200, contentType: 'application/json', value: Buffer.from('one') })
    expect(await two.answer).toMatchObject({ status: 404, value: Buffer.from('two') })
  })

  it('gives up after its time, from when the clock was started', async () => {
    const inbox = new AnswerInbox(1)
    const late = inbox.expect('late')
    late.startClock()
    expect(await late.answer).toBeUndefined()
    inbox.take(record({ 'correlation-id': 'late', status: '200' }))
    // One that has come before it was acknowledged needs no clock, and leaves none behind.
    const quick = inbox.expect('quick')
    inbox.take(record({ 'correlation-id': 'quick', status: '200' }, 'here'))
    quick.startClock()
    expect(await quick.answer).toMatchObject({ value: Buffer.from('here') })
  })
})
