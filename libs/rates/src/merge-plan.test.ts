import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { CROWD, FULL_PRICES, MERGED_PRICES, planMerges } from './merge-plan.ts'

const ascending = (sizes: number[]): number[] => [...sizes].sort((a, b) => a - b)
const sum = (sizes: readonly number[]): number => sizes.reduce((all, size) => all + size, 0)

/** What is left after all merges of the plan, in ascending order; `rewritten` prices were written again. */
function merge(sizes: readonly number[]): { sizes: number[]; rewritten: number } {
  const left = [...sizes]
  const merged = planMerges(sizes).map((packs) => sum(left.splice(0, packs)))
  return { sizes: ascending([...left, ...merged]), rewritten: sum(merged) }
}

describe('planMerges', () => {
  it('leaves a few packs alone', () => {
    expect(planMerges(new Array<number>(CROWD - 1).fill(10))).toEqual([])
    expect(planMerges(new Array<number>(CROWD).fill(10))).toEqual([CROWD])
  })

  it('does not rewrite a large pack for the sake of a few small ones', () => {
    expect(planMerges([1, 1, 1, 1, 1, 1, 1, 1, 5_000])).toEqual([8])
    expect(planMerges([500, 500, 500, 500, 500, 500, 500, 500, 4_000])).toEqual([9])
  })

  it('makes merged packs as large as they may be, and no larger', () => {
    const plan = planMerges(new Array<number>(4_000).fill(75))
    expect(plan).toEqual([1_747, 1_747, 506])
    expect(MERGED_PRICES / 75).toBeCloseTo(1_747, -1)
  })

  const lists = (size: fc.Arbitrary<number>) => fc.array(size, { maxLength: 50 }).map(ascending)

  it('never makes a pack too large, nor of one alone', () => {
    fc.assert(
      fc.property(lists(fc.integer({ min: 1, max: FULL_PRICES - 1 })), (some) => {
        let at = 0
        for (const packs of planMerges(some)) {
          expect(packs).toBeGreaterThan(1)
          expect(sum(some.slice(at, (at += packs)))).toBeLessThanOrEqual(MERGED_PRICES)
        }
      }),
    )
  })

  it('makes packs at least twice as large as what is in them', () => {
    const farApart = fc.integer({ min: 0, max: 7 }).map((power) => 3 ** power)
    fc.assert(
      fc.property(lists(farApart), (some) => {
        for (const packs of planMerges(some))
          expect(sum(some.slice(0, packs))).toBeGreaterThanOrEqual(2 * some[packs - 1]!)
      }),
    )
  })

  it.each([
    ['one at a time', 1],
    ['three at a time', 3],
    ['a flood', 500],
  ])('leaves few packs and rewrites a price seldom: %s', (_, together) => {
    let sizes: number[] = []
    let full = 0
    let rewritten = 0
    let most = 0
    const arrivals = 6_000
    for (let i = 0; i < arrivals; i += together) {
      sizes = ascending([...sizes, ...new Array<number>(together).fill(75)])
      const after = merge(sizes)
      rewritten += after.rewritten
      full += after.sizes.filter((size) => size >= FULL_PRICES).length
      sizes = after.sizes.filter((size) => size < FULL_PRICES)
      most = Math.max(most, sizes.length)
    }
    expect(most).toBeLessThan(12)
    expect(full).toBeLessThanOrEqual((arrivals * 75) / FULL_PRICES)
    expect(rewritten / (arrivals * 75)).toBeLessThan(together === 500 ? 2 : 7)
  })
})
