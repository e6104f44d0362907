import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { DayTotals, dailyRates } from './daily-rates.ts'
import { formatDay } from './rates-query.ts'

describe('daily rates', () => {
  it('come for every day, the newest first', () => {
    const totals = new DayTotals(18628, 18631)
    totals.add(18628, 3, 3463)
    totals.add(18629, 2, 100)
    totals.add(18631, 1, 7)
    totals.add(18631, 2, 5)
    expect(dailyRates(totals)).toEqual([
      { count: 3, day: '2021-01-04', price: 4 },
      { count: null, day: '2021-01-03', price: null },
      { count: 2, day: '2021-01-02', price: null },
      { count: 3, day: '2021-01-01', price: 1154.3333333333333 },
    ])
  })

  it('name every day, across leap years and centuries', () => {
    for (const [from, to] of [
      [-719162, -718000],
      [18262, 18700],
      [47000, 48000],
      [2932000, 2932896],
    ] as const) {
      const days = Array.from({ length: to - from + 1 }, (_, i) => formatDay(to - i))
      expect(dailyRates(new DayTotals(from, to)).map(({ day }) => day)).toEqual(days)
    }
  })

  it('are none for a range that ends before it begins', () => {
    expect(dailyRates(new DayTotals(18629, 18628))).toEqual([])
  })

  it('do not count what lies outside the range', () => {
    const totals = new DayTotals(10, 11)
    totals.add(9, 5, 5)
    totals.add(12, 5, 5)
    expect(dailyRates(totals).map((rate) => rate.count)).toEqual([null, null])
  })

  it('add up exactly, also past 2^53', () => {
    const sums = fc.array(
      fc.oneof(fc.bigInt(1n, 2n ** 63n - 1n), fc.bigInt(1n, 2n ** 33n), fc.bigInt(2n ** 52n, 2n ** 53n)),
    )
    fc.assert(
      fc.property(sums, (terms) => {
        const totals = new DayTotals(0, 0)
        for (const term of terms) totals.add(0, 1, term <= Number.MAX_SAFE_INTEGER ? Number(term) : term)
        expect(BigInt(totals.sum(0))).toBe(terms.reduce((sum, term) => sum + term, 0n))
        expect(totals.count(0)).toBe(terms.length)
      }),
    )
  })
})
