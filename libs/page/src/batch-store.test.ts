import { describe, expect, it } from '@jest/globals'
import { inState, keyOf, lastEnded, mostUrgent, newest, put, remember, type BatchStore } from './batch-store.ts'
import { shownBatch } from '@rates/testing/shown-batch'

const ids = (batches: readonly { id: string }[]): string => batches.map(({ id }) => id).join(' ')
const storeOf = (...batches: Parameters<typeof put>[1]): BatchStore => put(new Map(), batches)

describe('keys', () => {
  it('are remembered, so many of the newest', () => {
    const keys = new Set<string>()
    for (const key of ['a', 'b', 'a', 'c', 'd']) remember(keys, key, 3)
    expect([...keys]).toEqual(['a', 'c', 'd'])
  })
})

describe('the store', () => {
  it('has the latest of each batch, and tells a dry run from the batch of its id', () => {
    const store = put(storeOf(shownBatch('a', { state: 'pending' }), shownBatch('a', { dryRun: true })), [
      shownBatch('a'),
    ])
    expect([...store.values()].map(({ id, dryRun, state }) => [id, dryRun, state])).toEqual([
      ['a', false, 'succeeded'],
      ['a', true, 'succeeded'],
    ])
    expect(keyOf({ id: 'a', dryRun: true })).not.toBe(keyOf({ id: 'a', dryRun: false }))
  })

  it('forgets the oldest that have ended, and none that is open', () => {
    const at = (n: number): string => new Date(Date.UTC(2026, 10, 21, 8, 0, n)).toISOString()
    const ended = Array.from({ length: 8 }, (_, n) => shownBatch(`ended-${n}`, { createdAt: at(n) }))
    const open = Array.from({ length: 4 }, (_, n) =>
      shownBatch(`open-${n}`, { state: 'in_progress', createdAt: at(0) }),
    )
    const store = put(storeOf(...open), ended, 10)
    expect(ids(newest(inState(store, 'succeeded')))).toBe('ended-7 ended-6 ended-5 ended-4 ended-3')
    expect(inState(store, 'in_progress')).toHaveLength(4)
  })
})

describe('the order', () => {
  it('of those that load: the least slack first, then the oldest', () => {
    const late = shownBatch('late', { slackSeconds: -5 })
    const soon = shownBatch('soon', { slackSeconds: 10 })
    const old = shownBatch('old', { createdAt: '2026-11-21T07:00:00Z' })
    const young = shownBatch('young', { createdAt: '2026-11-21T07:30:00Z' })
    expect(ids(mostUrgent([young, soon, old, late]))).toBe('late soon old young')
  })

  it('of those that ended: the last one first', () => {
    const a = shownBatch('a', { finishedAt: '2026-11-21T09:00:00Z' })
    const b = shownBatch('b', { createdAt: '2026-11-21T08:30:00Z', finishedAt: '2026-11-21T08:31:00Z' })
    expect(ids(lastEnded([b, a]))).toBe('a b')
    expect(ids(newest([a, b]))).toBe('b a')
  })
})
