import { describe, expect, it } from '@jest/globals'
import { deadlineOf, Turns, type Lane } from './turns.ts'

describe('turns', () => {
  /** Asks for turns while one is held, and tells in which order they came. */
  async function orderOf(asked: [name: string, lane: Lane, deadline: number][]): Promise<string[]> {
    const turns = new Turns()
    const order: string[] = []
    let release = (): void => undefined
    const held = turns.take('bulk', Infinity, () => new Promise<void>((resolve) => (release = resolve)))
    const waits = asked.map(([name, lane, deadline]) =>
      turns.take(lane, deadline, () => Promise.resolve(void order.push(name))),
    )
    release()
    await Promise.all([held, ...waits])
    return order
  }

  it('go to the first lane, to the nearest deadline, to who came first', async () => {
    expect(
      await orderOf([
        ['bulk 1', 'bulk', Infinity],
        ['bulk urgent', 'bulk', 1_000],
        ['fast 1', 'fast', Infinity],
        ['bulk 2', 'bulk', Infinity],
        ['fast later', 'fast', 9_000],
        ['fast 2', 'fast', Infinity],
        ['fast sooner', 'fast', 2_000],
      ]),
    ).toEqual(['fast sooner', 'fast later', 'fast 1', 'fast 2', 'bulk urgent', 'bulk 1', 'bulk 2'])
  })

  it('are one at a time, and go on after one that fails', async () => {
    const turns = new Turns()
    let running = 0
    let most = 0
    const work = async (fails: boolean): Promise<void> => {
      most = Math.max(most, ++running)
      await Promise.resolve()
      running--
      if (fails) throw new Error('broken')
    }
    const results = await Promise.allSettled(
      [true, false, true, false].map((fails) => turns.take('fast', Infinity, () => work(fails))),
    )
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled'])
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
