import { describe, expect, it } from '@jest/globals'
import { doneIn, rowsText, slackOf, tookSeconds } from './batch-words.ts'
import { shownBatch } from '@rates/testing/shown-batch'

const now = Date.parse('2026-11-21T08:00:10Z')

describe('an open batch', () => {
  const open = shownBatch('a', { state: 'in_progress', createdAt: '2026-11-21T08:00:00Z' })

  it('is told by its expected end', () => {
    expect(doneIn({ ...open, etaAt: '2026-11-21T08:00:40Z' }, now)).toBe('done in 30 s')
    expect(doneIn({ ...open, etaAt: '2026-11-21T08:00:10Z' }, now)).toBe('about done')
    expect(doneIn({ ...open, etaAt: '2026-11-21T07:00:00Z' }, now)).toBe('about done')
  })

  it('is told by its age while nobody knows its end', () => {
    expect(doneIn(open, now)).toBe('for 10 s')
    expect(tookSeconds(open, now)).toBe(10)
  })

  it('has slack, or is too late', () => {
    expect(slackOf(open)).toBeNull()
    expect(slackOf({ ...open, slackSeconds: 90 })).toEqual({ text: '90 s of slack', late: false })
    expect(slackOf({ ...open, slackSeconds: -3 })).toEqual({ text: '3 s too late', late: true })
  })

  it('has less slack each second while nothing comes of it', () => {
    const waits = { ...open, state: 'pending', deadline: '2026-11-21T08:01:00Z', slackSeconds: 90 } as const
    expect(slackOf(waits, now)).toEqual({ text: '50 s of slack', late: false })
    expect(slackOf(waits, now + 53_000)).toEqual({ text: '3 s too late', late: true })
    // Its expected end is what counts once it is known, and its end in the end.
    expect(slackOf({ ...waits, etaAt: '2026-11-21T07:59:30Z' }, now)?.text).toBe('90 s of slack')
    expect(slackOf({ ...waits, state: 'succeeded' }, now)?.text).toBe('90 s before its deadline')
  })

  it('has so many of the rows that are expected', () => {
    const rows = { accepted: 1000, rejected: 5, expected: 2000 }
    expect(rowsText({ ...open, rows })).toBe('1\u202f005 of 2\u202f000 rows')
    expect(rowsText({ ...open, rows: { ...rows, expected: null } })).toBe('1\u202f005 rows')
    expect(rowsText({ ...open, rows: { ...rows, expected: 1005 } })).toBe('1\u202f005 rows')
  })
})

it('says of an ended batch whether it kept its deadline', () => {
  const ended = shownBatch('a', { state: 'succeeded', finishedAt: '2026-11-21T08:00:05Z' })
  expect(slackOf({ ...ended, slackSeconds: 90 })?.text).toBe('90 s before its deadline')
  expect(slackOf({ ...ended, slackSeconds: -3 })).toEqual({ text: 'deadline missed by 3 s', late: true })
  expect(tookSeconds({ ...ended, createdAt: '2026-11-21T08:00:00Z' }, now)).toBe(5)
})
