import { describe, expect, it } from '@jest/globals'
import { type Batch } from '@rates/core/batch'
import { shownBatch } from '@rates/testing/shown-batch'
import { changeLine, changeOf, liveLines } from './watch-page.ts'

/** It loads. */
const batch = (change: Partial<Batch>): Batch =>
  shownBatch('b-1', {
    state: 'in_progress',
    source: 'acme',
    chunks: { done: 8, expected: 32 },
    rows: { accepted: 250_000, rejected: 0, expected: 1_000_000 },
    bytes: 7_000_000,
    progress: 0.25,
    rowsPerSecond: 500_000,
    etaAt: '2026-01-31T08:00:03.500Z',
    deadline: '2026-01-31T08:00:30.000Z',
    slackSeconds: 26.5,
    createdAt: '2026-01-31T08:00:00.000Z',
    startedAt: '2026-01-31T08:00:00.100Z',
    phases: { queueSeconds: 0.1, loadSeconds: null, publishSeconds: null },
    ...change,
  })
const ended = (change: Partial<Batch>): Batch =>
  batch({ state: 'succeeded', finishedAt: '2026-01-31T08:00:04.200Z', etaAt: null, progress: 1, ...change })

/** The line, if there is one. */
function lineOf(now: Batch, before?: Batch['state']): string | undefined {
  const change = changeOf(now, before)
  return change && changeLine(now, change)
}

describe('changeOf', () => {
  it('tells that a batch was opened, once', () => {
    expect(lineOf(batch({ state: 'pending' }))).toBe(
      '08:00:00Z  opened     b-1  acme, deadline 08:00:30Z, 27 s to spare',
    )
    expect(lineOf(batch({}), 'pending')).toBeUndefined()
    expect(lineOf(batch({}), 'in_progress')).toBeUndefined()
    const plain = { source: null, deadline: null, slackSeconds: null }
    expect(lineOf(batch({ ...plain, dryRun: true }))).toBe('08:00:00Z  opened     b-1 (dry run)')
    expect(lineOf(batch({ ...plain, replaces: 'b-0', retryOf: 'b' }))).toBe(
      '08:00:00Z  opened     b-1  replaces b-0, runs b again',
    )
  })

  it('tells how it ended', () => {
    const rows = { accepted: 1_000_000, rejected: 0, expected: 1_000_000 }
    expect(lineOf(ended({ rows, slackSeconds: -3 }), 'in_progress')).toBe(
      '08:00:04Z  succeeded  b-1  1 000 000 rows in 32 chunks, 4.2 s, 3.0 s too late',
    )
    expect(lineOf(ended({ rows }), 'succeeded')).toBeUndefined()
    const error = { code: 'rejected_rows', message: '3 of 4 rows\u0007' } as const
    // Nobody was told of its opening.
    expect(lineOf(ended({ state: 'failed', error, slackSeconds: null }))).toBe(
      '08:00:04Z  failed     b-1  acme, rejected_rows: 3 of 4 rows\\u{7}, 4.2 s',
    )
  })

  it('tells what is hidden', () => {
    const hidden = { hiddenAt: '2026-01-31T09:00:00.000Z' }
    expect(lineOf(ended({ ...hidden, state: 'reverted' }), 'succeeded')).toBe(
      '09:00:00Z  reverted   b-1  250 000 rows are hidden',
    )
    expect(lineOf(ended({ ...hidden, state: 'replaced', replacedBy: 'b-2' }), 'succeeded')).toBe(
      '09:00:00Z  replaced   b-1  by b-2, 250 000 rows are hidden',
    )
  })
})

describe('liveLines', () => {
  const now = Date.parse('2026-01-31T08:00:01.500Z')
  it('shows how far each is', () => {
    const waiting = batch({
      id: 'longer',
      state: 'pending',
      progress: null,
      rowsPerSecond: null,
      etaAt: null,
      slackSeconds: null,
    })
    const bad = batch({
      rows: { accepted: 249_998, rejected: 2, expected: null },
      progress: null,
      etaAt: null,
      slackSeconds: null,
    })
    expect(liveLines([batch({}), waiting, bad], 10, now)).toEqual([
      'b-1     ██████░░░░░░░░░░░░░░░░░░   25 %  250 000 rows  500 000 rows/s  2.0 s left  27 s to spare',
      'longer  waiting for a worker',
      'b-1     250 000 rows  2 bad  500 000 rows/s',
    ])
  })

  it('has no more lines than fit', () => {
    const five = ['a', 'b', 'c', 'd', 'e'].map((id) => batch({ id, state: 'pending' }))
    expect(liveLines(five, 5, now)).toHaveLength(5)
    const lines = liveLines(five, 4, now)
    expect(lines).toHaveLength(4)
    expect(lines[3]).toBe('and 2 other batches')
    expect(liveLines([], 4, now)).toEqual([])
  })
})
