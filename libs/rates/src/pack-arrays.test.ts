import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { DayTotals } from './daily-rates.ts'
import { addPack } from './pack-arrays.ts'

const array = (values: readonly (number | bigint)[]) => `{${values.join(',')}}`

describe('a pack', () => {
  it('is added to the totals of its days', () => {
    const totals = new DayTotals(100, 131)
    addPack(totals, { month: 100, days: '{0,3,30}', n: '{2,1,40000}', s: '{30,7,9223372036854775807}' })
    addPack(totals, { month: 100, days: '{3}', n: '{1}', s: '{8}' })
    expect([totals.count(100), totals.sum(100)]).toEqual([2, 30])
    expect([totals.count(103), totals.sum(103)]).toEqual([2, 15])
    expect([totals.count(130), totals.sum(130)]).toEqual([40000, 9223372036854775807n])
    expect([totals.count(101), totals.sum(101)]).toEqual([0, 0])
  })

  it('of no days adds nothing', () => {
    const totals = new DayTotals(0, 1)
    addPack(totals, { month: 0, days: '{}', n: '{}', s: '{}' })
    expect([totals.count(0), totals.count(1)]).toEqual([0, 0])
  })

  it('adds what its arrays say, whatever their sizes', () => {
    const entry = fc.tuple(fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.bigInt(1n, 2n ** 63n - 1n))
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 31 }), (entries) => {
        const totals = new DayTotals(0, 30)
        const days = entries.map((_, day) => day)
        addPack(totals, {
          month: 0,
          days: array(days),
          n: array(entries.map((e) => e[0])),
          s: array(entries.map((e) => e[1])),
        })
        expect(days.map((day) => [totals.count(day), BigInt(totals.sum(day))])).toEqual(entries)
      }),
    )
  })

  it.each([
    ['arrays of different lengths', { days: '{0,1}', n: '{1}', s: '{1}' }],
    ['more counts than days', { days: '{0}', n: '{1,2}', s: '{1}' }],
    ['more sums than days', { days: '{0}', n: '{1}', s: '{1,2}' }],
    ['a null', { days: '{0}', n: '{NULL}', s: '{1}' }],
    ['a negative number', { days: '{0}', n: '{1}', s: '{-1}' }],
    ['no array', { days: '', n: '{1}', s: '{1}' }],
  ])('with %s is refused', (_, arrays) => {
    expect(() => addPack(new DayTotals(0, 30), { month: 0, ...arrays })).toThrow()
  })
})
