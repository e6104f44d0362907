import { describe, expect, it } from '@jest/globals'
import { ago, bytes, count, duration, percent, plural, rate, share } from './format.ts'

describe('numbers', () => {
  it.each([
    [0, '0'],
    [999, '999'],
    [1000, '1\u202f000'],
    [1_234_567, '1\u202f234\u202f567'],
  ])('%d is grouped', (value, text) => expect(count(value)).toBe(text))

  it('have a plural', () => expect([plural(1, 'row'), plural(2000, 'row')]).toEqual(['1 row', '2\u202f000 rows']))

  it.each([
    [999, '999 B'],
    [1500, '1.5 kB'],
    [999_499, '999 kB'],
    [999_600, '1.0 MB'],
    [12_345_678_901, '12 GB'],
  ])('%d bytes', (value, text) => expect(bytes(value)).toBe(text))

  it.each([
    [950, '950/s'],
    [12_345, '12 k/s'],
    [1_990_000, '1.99 M/s'],
  ])('%d rows a second', (value, text) => expect(rate(value)).toBe(text))

  it('never shows a part as whole', () => expect([percent(0.999), percent(1)]).toEqual(['99\u202f%', '100\u202f%']))
})

it.each([
  [0, '0\u202f%'],
  [0.000_04, '<\u20090.01\u202f%'],
  [0.0001, '0.01\u202f%'],
  [0.0042, '0.42\u202f%'],
  [0.031, '3.1\u202f%'],
  [0.42, '42\u202f%'],
  [0.9999, '99\u202f%'],
  [1, '100\u202f%'],
])('a share of %d', (part, text) => expect(share(part)).toBe(text))

describe('times', () => {
  it.each([
    [0.004, '4 ms'],
    [0.25, '0.25 s'],
    [9.94, '9.9 s'],
    [61, '61 s'],
    [600, '10 min'],
    [7300, '2 h'],
    [200_000, '2 days'],
  ])('%d seconds', (value, text) => expect(duration(value)).toBe(text))

  it('of the past', () => {
    const now = Date.parse('2026-11-21T08:00:10Z')
    expect(ago('2026-11-21T08:00:09.5Z', now)).toBe('just now')
    expect(ago('2026-11-21T08:00:00Z', now)).toBe('10 s ago')
    expect(ago('2026-11-21T08:00:06.2Z', now)).toBe('3 s ago')
    expect(ago('2026-11-21T08:00:20Z', now)).toBe('just now')
  })
})
