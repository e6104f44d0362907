import { describe, expect, it } from '@jest/globals'
import { finds, mark, wordsOf } from './words.ts'

const marked = (text: string, query: string): string =>
  mark(text, query)
    .map(({ text: part, found }) => (found ? `[${part}]` : part))
    .join('')

describe('words', () => {
  it('stand between spaces and punctuation', () =>
    expect(wordsOf(' Acme-2026.11_x:y  "Zürich"')).toEqual(['acme', '2026', '11', 'x', 'y', 'zürich']))

  it.each([
    ['acme', true],
    ['ACM 2026', true],
    ['2026 acme', true],
    ['cme', false],
    ['acme bulk', false],
    ['unknown_port', true],
    ['   ', true],
  ])('%j found: %s', (query, found) =>
    expect(finds(query, ['acme-2026-11', null, 'unknown_port 3', undefined])).toBe(found),
  )
})

describe('mark', () => {
  it.each([
    ['acme-2026', 'acme', '[acme]-2026'],
    ['acme-2026', '20 ac', '[ac]me-[20]26'],
    ['acme-acme2', 'acme', '[acme]-[acme]2'],
    // The longest of several.
    ['acme', 'a acm', '[acm]e'],
    ['nothing', 'else', 'nothing'],
    ['nothing', '', 'nothing'],
    ['', 'x', ''],
    ['a|b', 'b', 'a|[b]'],
  ])('%j by %j', (text, query, expected) => expect(marked(text, query)).toBe(expected))

  it('loses nothing', () =>
    expect(
      mark(' a, (b)\nc ', 'b')
        .map(({ text }) => text)
        .join(''),
    ).toBe(' a, (b)\nc '))
})
