import { describe, expect, it } from '@jest/globals'
import { amount, lonely, seriesOf, summaryOf, wordsOf } from './series.ts'

const rates = [
  { day: '2026-03-30', count: 4, price: 1234.5 },
  { day: '2026-03-29', count: 2, price: null },
  { day: '2026-03-28', count: null, price: null },
  { day: '2026-03-27', count: 3, price: 1000 },
]

describe('a series', () => {
  it('begins with the oldest day, at its midnight in UTC whatever the clocks do', () => {
    expect(seriesOf(rates)).toEqual({
      days: ['2026-03-27', '2026-03-28', '2026-03-29', '2026-03-30'],
      times: [27, 28, 29, 30].map((day) => Date.UTC(2026, 2, day) / 1000),
      averages: [1000, null, null, 1234.5],
      enough: [3, null, null, 4],
      few: [null, null, 2, null],
    })
  })

  it.each([
    [[1], [0]],
    [
      [1, 2, null, 3, null, 4],
      [3, 5],
    ],
    [[null, 1, null, 2, 3], [1]],
    [[null, null], []],
  ])('%p has lonely values at %p', (values, places) => expect(lonely(values)).toEqual(places))
})

describe('in words', () => {
  it('is an answer', () => {
    expect(summaryOf(rates)).toBe(
      '4 days: 2 with an average, 1 with too few prices for one, 1 without any. The averages are 1\u202f000 to 1\u202f234.50.',
    )
    expect(summaryOf(rates.slice(1, 2))).toBe('1 day: 0 with an average, 1 with too few prices for one, 0 without any.')
  })

  it('is a day', () => {
    expect(rates.map(wordsOf)).toEqual([
      'average 1\u202f234.50 of 4 prices',
      '2 prices: too few for an average',
      'no prices',
      'average 1\u202f000 of 3 prices',
    ])
  })

  it.each([
    [3232, '3\u202f232'],
    [3273.6666666666665, '3\u202f273.67'],
    [999.999, '1\u202f000'],
    [2147483647, '2\u202f147\u202f483\u202f647'],
  ])('%d is %p', (value, text) => expect(amount(value)).toBe(text))
})
