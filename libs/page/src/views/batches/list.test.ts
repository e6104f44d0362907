import { describe, expect, it } from '@jest/globals'
import { type Batch } from '@rates/core/batch'
import { keyOf } from '../../batch-store.ts'
import { shownBatch } from '@rates/testing/shown-batch'
import {
  append,
  begin,
  cut,
  EMPTY_LIST,
  MOST_HELD,
  MOST_ROWS,
  newestOf,
  renew,
  reveal,
  rowsOf,
  tell,
  type List,
} from './list.ts'

const all = (): boolean => true
const at = (second: number): string => new Date(Date.UTC(2026, 10, 21, 8, 0, second)).toISOString()
/** Opened in that second. */
const b = (second: number, more: Partial<Batch> = {}): Batch =>
  shownBatch(`b${second}`, { createdAt: at(second), ...more })
const ids = (list: List): string =>
  rowsOf(list)
    .map(({ id }) => id)
    .join(' ')
const held = (list: List): string => list.held.map((key) => list.batches.get(key)!.id).join(' ')
const page = (batches: Batch[], nextCursor: string | null = null): { batches: Batch[]; nextCursor: string | null } => ({
  batches,
  nextCursor,
})
const shown = (...batches: Batch[]): List => begin(EMPTY_LIST, page(batches, 'c1'))

describe('the first page', () => {
  it('is shown as it came', () => {
    const list = shown(b(5), b(3))
    expect(ids(list)).toBe('b5 b3')
    expect(list.next).toBe('cursor=c1')
    expect(begin(EMPTY_LIST, page([b(1)])).next).toBeNull()
  })

  it('is older than what was told before it came', () => {
    const told = tell(EMPTY_LIST, [b(2), b(5, { state: 'failed' }), b(6)], all)
    expect(told.shown).toBeUndefined()
    const list = begin(told, page([b(5), b(4)], 'c1'))
    // b2 is of a later page.
    expect(ids(list)).toBe('b6 b5 b4')
    expect(rowsOf(list)[1]!.state).toBe('failed')
  })
})

describe('what is told', () => {
  it('changes a row where it is, also if it matches no more', () => {
    const list = tell(shown(b(5), b(3)), [b(3, { state: 'reverted' })], ({ state }) => state === 'succeeded')
    expect(rowsOf(list).map(({ id, state }) => [id, state])).toEqual([
      ['b5', 'succeeded'],
      ['b3', 'reverted'],
    ])
  })

  it('is held if it is new, in order, and shown when that is asked for', () => {
    const list = tell(tell(shown(b(5), b(3)), [b(6), b(7)], all), [b(4), b(7, { state: 'failed' })], all)
    expect(ids(list)).toBe('b5 b3')
    expect(held(list)).toBe('b7 b6 b4')
    expect(ids(reveal(list))).toBe('b7 b6 b5 b4 b3')
    expect(reveal(list).held).toEqual([])
    expect(rowsOf(reveal(list))[0]!.state).toBe('failed')
  })

  it('is nothing of this list if it does not match, and is held no longer when it ceases to', () => {
    const isOpen = ({ state }: Batch): boolean => state === 'in_progress'
    const one = tell(shown(), [b(6, { state: 'in_progress' }), b(7)], isOpen)
    expect(held(one)).toBe('b6')
    expect(held(tell(one, [b(6)], isOpen))).toBe('')
    expect(held(tell(shown(), [b(6, { state: 'in_progress' }), b(6)], isOpen))).toBe('')
  })

  it('is left to a later page if it is older than all rows, unless there is none', () => {
    expect(held(tell(shown(b(5), b(3)), [b(2)], all))).toBe('')
    expect(held(tell(begin(EMPTY_LIST, page([b(5), b(3)])), [b(2)], all))).toBe('b2')
  })

  it('tells a dry run from the batch of its id', () =>
    expect(held(tell(shown(b(5)), [b(5, { dryRun: true })], all))).toBe('b5'))

  it('is not remembered without end', () => {
    const many = Array.from({ length: 3 * MOST_HELD }, (_, n) => b(10 + n))
    const list = many.reduce((before, batch) => tell(before, [batch], all), shown(b(5)))
    expect(list.overflow).toBe(true)
    expect(list.batches.size).toBeLessThanOrEqual(2 * MOST_HELD + 1)
    expect(held(list).startsWith(`b${9 + 3 * MOST_HELD} `)).toBe(true)
    expect(ids(list)).toBe('b5')
  })
})

describe('a later page', () => {
  it('comes below, without what is there already, and does not make anything older', () => {
    const list = tell(shown(b(5), b(3)), [b(6), b(3, { state: 'failed' }), b(2, { state: 'reverted' })], all)
    const more = append(list, page([b(3), b(2)]))
    expect(ids(more)).toBe('b5 b3 b2')
    expect(held(more)).toBe('b6')
    expect(rowsOf(more).map(({ state }) => state)).toEqual(['succeeded', 'failed', 'reverted'])
    expect(more.next).toBeNull()
  })
})

describe('after a connection was lost', () => {
  const before = shown(b(5, { state: 'in_progress' }), b(3))
  const newest = newestOf(before)

  it('what was missed is added, and what the new connection has told stays', () => {
    const heard = tell(before, [b(5, { state: 'failed' })], all)
    const told = new Set([keyOf(b(5))])
    const list = reveal(renew(heard, page([b(7), b(6), b(5), b(3)], 'c2'), { told, newest, fits: all }))
    expect(ids(list)).toBe('b7 b6 b5 b3')
    expect(rowsOf(list)[2]!.state).toBe('failed')
    expect(list.next).toBe('cursor=c1')
  })

  it('it begins anew if so much was missed that there is a gap', () => {
    const heard = tell(before, [b(9), b(5)], all)
    const list = renew(heard, page([b(8), b(7)], 'c2'), {
      told: new Set([keyOf(b(9)), keyOf(b(5))]),
      newest,
      fits: all,
    })
    expect(ids(list)).toBe('b9 b8 b7')
    expect(list.next).toBe('cursor=c2')
  })

  it('a whole list has no gap', () =>
    expect(ids(reveal(renew(before, page([b(8)]), { told: new Set(), newest, fits: all })))).toBe('b8 b5 b3'))
})

it('a list that has grown at its top is cut, and goes on with what was cut off', () => {
  const many = Array.from({ length: MOST_ROWS + 1 }, (_, n) => b(MOST_ROWS - n))
  const list = cut(shown(...many))
  expect(rowsOf(list)).toHaveLength(MOST_ROWS / 2)
  const last = rowsOf(list).at(-1)!
  expect(list.next).toBe(`until=${new Date(Date.parse(last.createdAt) + 1).toISOString()}`)
  expect(list.batches.size).toBe(MOST_ROWS / 2)
  const next = many.slice(MOST_ROWS / 2 - 1, MOST_ROWS / 2 + 3)
  expect(ids(append(list, page(next)))).toBe(
    many
      .slice(0, MOST_ROWS / 2 + 3)
      .map(({ id }) => id)
      .join(' '),
  )
  const short = shown(b(1))
  expect(cut(short)).toBe(short)
})
