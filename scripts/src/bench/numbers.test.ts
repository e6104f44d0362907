import { describe, expect, test } from '@jest/globals'
import { grouped, median, mib, ms, percentile, seconds, short, spread, times } from './numbers.ts'

describe('percentiles', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i)

  test('are values that were measured, by nearest rank', () => {
    expect(percentile(hundred, 99)).toBe(99)
    expect(percentile(hundred, 95)).toBe(95)
    expect(percentile(hundred, 100)).toBe(100)
    expect(percentile(hundred, 0)).toBe(1)
    expect(percentile([5, 1], 99)).toBe(5)
  })

  test('of few values are the highest, never one that is not there', () => {
    expect(percentile([3, 1, 2], 99)).toBe(3)
    expect(percentile([7], 1)).toBe(7)
  })

  test('sort as numbers, and leave the input alone', () => {
    const values = [10, 9, 100]
    expect(median(values)).toBe(10)
    expect(values).toEqual([10, 9, 100])
  })

  test('the median of an even number is the higher of the middle two', () => {
    expect(median([1, 2, 3, 4])).toBe(3)
  })

  test('are refused for nothing', () => {
    expect(() => percentile([], 50)).toThrow(RangeError)
    expect(() => spread([])).toThrow(RangeError)
  })

  test('a spread has all of them', () => {
    expect(spread(hundred)).toEqual({ count: 100, p50: 51, p95: 95, p99: 99, max: 100 })
  })
})

describe('words for numbers', () => {
  test('rows and rates', () => {
    expect(grouped(1_234_567.4)).toBe('1 234 567')
    expect(grouped(999)).toBe('999')
    expect([500, 10_000, 99_900_000, 1_000_000, 1_500_000].map(short)).toEqual([
      '500',
      '10 k',
      '99.9 M',
      '1 M',
      '1.5 M',
    ])
  })

  test('times keep three digits that matter', () => {
    expect([0.0123, 1.234, 12.34, 134.4].map(seconds)).toEqual(['0.012 s', '1.23 s', '12.3 s', '134 s'])
    expect([0.129, 1.26, 12.6].map(ms)).toEqual(['0.13 ms', '1.3 ms', '13 ms'])
    expect([0.976, 14.04].map(times)).toEqual(['0.98 x', '14.0 x'])
    expect(mib(256 * 2 ** 20)).toBe('256 MiB')
  })
})
