import { describe, expect, it } from '@jest/globals'
import { ApiProblem } from '../api.ts'
import { faultOf, faultOfRetry } from './faults.ts'

const of = (status: number, message: string, more: Record<string, unknown> = {}) =>
  faultOf(new ApiProblem(status, message, more), 'load')

describe('what is said of an upload that was not taken', () => {
  it.each([
    [413, 'Too much.', 'The file is too large for the service. Too much.'],
    [408, 'Nothing came.', 'The connection was too slow. Nothing came. Nothing of it is visible.'],
    [415, 'Not a type', 'The service does not take such a file. Not a type.'],
    [503, 'Kafka is away.', 'The service cannot take it now. Kafka is away. Try again in a while.'],
    [502, 'Bad Gateway', 'The service cannot take it now. Bad Gateway. Try again in a while.'],
    [500, 'Oh', 'The service has a fault. Oh. Nothing of it is visible.'],
    [400, 'The content is empty.', 'The content is empty.'],
  ])('%d %s', (status, message, text) => expect(of(status, message)).toEqual({ message: text }))

  it('says when to try again', () =>
    expect(of(503, '4 uploads are going on already.', { retryAfter: '2' }).message).toBe(
      'The service cannot take it now. 4 uploads are going on already. Try again in 2 s.',
    ))

  it('names the batch that is in the way', () => {
    expect(of(409, 'There is.', { batch: 'https://rates/x/batches/acme%3A1' })).toEqual({
      message: 'There is a batch acme:1 already: choose another id.',
      batch: 'acme:1',
    })
    expect(of(409, 'In use.')).toEqual({ message: 'In use.' })
  })

  it('waits for the batch in the way where that is its own', () => {
    const taken = new ApiProblem(409, 'There is.', { batch: '/batches/acme' })
    expect(faultOfRetry(taken, 'load', 'acme')).toMatchObject({ batch: 'acme', unknown: true })
    expect(faultOfRetry(taken, 'load', 'other')).toEqual(faultOf(taken, 'load'))
    expect(faultOfRetry(taken, 'load', undefined)).toEqual(faultOf(taken, 'load'))
    expect(faultOfRetry(new ApiProblem(0, ''), 'load', 'acme')).toEqual(faultOf(new ApiProblem(0, ''), 'load'))
  })

  it('does not know what became of an upload without an answer', () =>
    expect(of(0, 'The service does not answer.')).toMatchObject({ unknown: true }))
})
