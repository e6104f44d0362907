import { type Batch } from '@rates/core/batch'
import { describe, expect, it } from '@jest/globals'
import { shownBatch } from '@rates/testing/shown-batch'
import { headline } from './headline.ts'
import { type Step } from './machine.ts'

const file = { name: 'a.csv', bytes: 1, kind: { format: 'csv', encoding: 'identity' } } as const
const ended = (step: Step, more: Partial<Batch>): string =>
  headline({ at: 'ended', step, file, id: 'x', batch: shownBatch('x', more) })
const rows = (accepted: number, rejected = 0) => ({ accepted, rejected, expected: null })
const bad = { code: 'rejected_rows', message: '' } as const
const late = { code: 'deadline_passed', message: '' } as const

describe('the headline', () => {
  it('says what goes on', () => {
    const going = { file, id: 'x', batch: null, sent: 0, since: 0, cancelling: false }
    expect(headline({ at: 'sending', step: 'check', ...going })).toBe('Sending a.csv to be checked')
    expect(headline({ at: 'sending', step: 'load', ...going })).toBe('Sending a.csv to be loaded')
    expect(headline({ at: 'following', step: 'check', ...going })).toBe('Checking')
    expect(headline({ at: 'following', step: 'load', ...going })).toBe('Loading')
    expect(headline({ at: 'stopped', step: 'load', ...going, fault: { message: '' } })).toBe('Not loaded')
  })

  it.each<[Step, Partial<Batch>, string]>([
    ['check', { rows: rows(1) }, '1 row is good'],
    ['check', { rows: rows(2000) }, '2\u202f000 rows are good'],
    ['load', { rows: rows(2) }, '2 rows are visible'],
    ['check', { state: 'failed', rows: rows(3, 1), error: bad }, '1 of 4 rows breaks a rule'],
    ['load', { state: 'failed', rows: rows(3, 2), error: bad }, '2 of 5 rows break a rule'],
    ['check', { state: 'failed', rows: rows(3), error: late }, 'It cannot be loaded'],
    ['load', { state: 'failed', rows: rows(3), error: late }, 'It was not loaded: nothing of it is visible'],
    ['check', { state: 'cancelled' }, 'The check was stopped'],
    ['load', { state: 'cancelled' }, 'The load was stopped: nothing of it is visible'],
    ['load', { state: 'reverted' }, 'The batch was reverted'],
  ])('of a %s that ended as %j', (step, more, text) => expect(ended(step, more)).toBe(text))
})
