import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { wordsOf, wordsQuery } from './words.ts'

describe('words', () => {
  it.each<[string, string[]]>([
    ['acme-2026-11-21', ['acme', '2026', '11', '21']],
    [' Acme\tEurope_2:a.b\n', ['Acme', 'Europe', '2', 'a', 'b']],
    ['o\'clock \\ "x" & !y | (z):*', ['o', 'clock', 'x', 'y', 'z']],
    ['Zürich 上海\u00a0港', ['Zürich', '上海\u00a0港']],
    ['\u0000\u001f\u007f-- ', []],
    ['', []],
  ])('of %j', (text, words) => expect(wordsOf(text)).toEqual(words))

  it('have nothing that a tsquery would take for more than a word', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        for (const word of wordsOf(text)) expect(word).toMatch(/^[A-Za-z0-9\u0080-\u{10ffff}]+$/u)
      }),
    )
  })

  it('as a tsquery are beginnings, all of which are needed', () =>
    expect(wordsQuery(['acme', '20'])).toBe("'acme':* & '20':*"))
})
