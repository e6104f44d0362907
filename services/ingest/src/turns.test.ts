import { describe, expect, it } from '@jest/globals'
import { deadlineOf, Turns, type Lane } from './turns.ts'

const fulfilled = { status: 'fulfilled', value: undefined } as const

describe('turns', () => {
  /** Asks for turns at once, and tells who had them together in which order. */
  async function orderOf(most: number, asked: [name: string, lane: Lane, deadline: number][]): Promise<string[][]> {
    const order: string[][] = []
    const turns = new Turns<string>({
      work: (names) => {
        order.push(names)
        return Promise.resolve(names.map(() => fulfilled))
      },
      mayJoin: (first, other) => first[0] === other[0],
      most,
    })
    await Promise.all(asked.map(([name, lane, deadline]) => turns.take(lane, deadline, name)))
    return order
  }

  it('go to the first lane, to the nearest deadline, to who came first', async () => {
    const order = await orderOf(1, [
      ['bulk 1', 'bulk', Infinity],
      ['bulk urgent', 'bulk', 1_000],
      ['fast 1', 'fast', Infinity],
      ['bulk 2', 'bulk', Infinity],
      ['fast later', 'fast', 9_000],
      ['fast 2', 'fast', Infinity],
      ['fast sooner', 'fast', 2_000],
    ])
    expect(order.flat()).toEqual(['fast sooner', 'fast later', 'fast 1', 'fast 2', 'bulk urgent', 'bulk 1', 'bulk 2'])
    expect(order).toHaveLength(7)
  })

  it('are shared by those that belong together, in one lane, and no more than may', async () => {
    const order = await orderOf(3, [
      ['a1', 'bulk', Infinity],
      ['b1', 'bulk', Infinity],
      ['a2', 'bulk', Infinity],
      ['a3', 'fast', Infinity],
      ['a4', 'bulk', Infinity],
      ['a5', 'bulk', Infinity],
      ['b2', 'bulk', Infinity],
    ])
    expect(order).toEqual([['a3'], ['a1', 'a2', 'a4'], ['b1', 'b2'], ['a5']])
  })

  it('are one at a time, tell each how it went, and go on after one that fails', async () => {
    let running = 0
    let most = 0
    const turns = new Turns<string>({
      work: async ([name, ...others]) => {
        most = Math.max(most, ++running)
        await Promise.resolve()
        running--
        if (name === 'broken') throw new Error('broken')
        return [fulfilled, ...others.map((other) => ({ status: 'rejected', reason: `no ${other}` }) as const)]
      },
      mayJoin: (first) => first === 'with',
      most: 2,
    })
    const results = await Promise.allSettled(
      ['broken', 'fine', 'with', 'him'].map((name) => turns.take('fast', Infinity, name)),
    )
    expect(results.map((result) => (result.status === 'rejected' ? String(result.reason) : 'fine'))).toEqual([
      'Error: broken',
      'fine',
      'fine',
      'no him',
    ])
    expect(most).toBe(1)
  })
})

describe('the deadline of a record', () => {
  it.each([
    ['2026-11-21T08:00:00Z', Date.UTC(2026, 10, 21, 8)],
    ['soon', Infinity],
    [undefined, Infinity],
  ])('%s', (value, expected) => {
    expect(deadlineOf({ headers: new Map(value === undefined ? [] : [['deadline', value]]) })).toBe(expected)
  })
})
