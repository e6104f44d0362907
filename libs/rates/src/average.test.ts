import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { average } from './average.ts'

describe('the average', () => {
  // The text is what PostgreSQL answers to select (sum::numeric / count); its double is what the service answers.
  it.each([
    [3463, 3, '1154.3333333333333333'],
    [40001, 3, '13333.666666666667'],
    [20001, 2, '10000.500000000000'],
    [10, 3, '3.3333333333333333'],
    [2, 3, '0.66666666666666666667'],
    [4294967295, 4, '1073741823.75000000'],
    [6442450943, 3, '2147483647.6666667'],
    [29999, 10000, '2.9999000000000000'],
    [100000000, 30000, '3333.3333333333333333'],
    [9007199254740993n, 5, '1801439850948198.6000'],
    [92233720368547758070n, 3, '30744573456182586023'],
  ])('of %s over %i prices is %s', (sum, count, numeric) => {
    expect(average(sum, count)).toBe(Number(numeric))
  })

  it('is the quotient itself where it is whole', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.integer({ min: 1, max: 2 ** 20 }), (price, count) => {
        expect(average(price * count, count)).toBe(price)
        expect(average(BigInt(price) * BigInt(count), count)).toBe(price)
      }),
    )
  })

  it('lies within the decimals that PostgreSQL keeps of the quotient of doubles', () => {
    const counts = fc.integer({ min: 1, max: 1_000_000 })
    fc.assert(
      fc.property(counts, fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.nat(), (count, price, rest) => {
        const sum = price * count + (rest % count)
        const result = average(sum, count)
        expect(Math.abs(result - sum / count)).toBeLessThanOrEqual(Math.max(result, 1) * 1e-12)
        expect(average(BigInt(sum), count)).toBe(result)
      }),
    )
  })

  it('is the same by doubles, where those are used, and by whole numbers', () => {
    const counts = fc.integer({ min: 2, max: 2050 })
    fc.assert(
      fc.property(counts, fc.integer({ min: 1022, max: 10_001 }), fc.nat(), (count, price, rest) => {
        const sum = price * count + (rest % count)
        expect(average(sum, count)).toBe(average(BigInt(sum), count))
      }),
      { numRuns: 5_000 },
    )
  })
})
