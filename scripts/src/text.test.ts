import { describe, expect, it } from '@jest/globals'
import { plural, printable, shellWord, table } from './text.ts'

describe('table', () => {
  it('aligns columns and leaves no space at the ends of lines', () => {
    const lines = table(
      [{ title: 'row', right: true }, { title: 'value' }],
      [
        ['7', 'x'],
        ['1 200', 'long'],
      ],
    )
    expect(lines).toEqual(['  row  value', '    7  x', '1 200  long'])
  })
  it('needs no titles', () => expect(table([{ title: '' }, { title: '' }], [['a', 'b']])).toEqual(['a  b']))
})

describe('printable', () => {
  it('leaves ordinary text alone', () => expect(printable('Zürich 上海')).toBe('Zürich 上海'))
  it('shows what would act on the terminal or hide in it', () => {
    expect(printable('a\x1b[31m\u202eb\u200b')).toBe('a\\u{1b}[31m\\u{202e}b\\u{200b}')
  })
  it('shows that there is nothing, or a space at an end', () => {
    expect(printable('')).toBe('""')
    expect(printable('12 ')).toBe('"12 "')
  })
  it('shortens', () => expect(printable('x'.repeat(50), 10)).toBe(`${'x'.repeat(9)}…`))
})

describe('plural', () => {
  it.each([
    [1, '1 row'],
    [0, '0 rows'],
    [1_000_000, '1 000 000 rows'],
  ])('%d', (n, words) => expect(plural(n, 'row')).toBe(words))
})

describe('shellWord', () => {
  it('quotes only what needs it', () => {
    expect(shellWord('cli-1:2_a.b')).toBe('cli-1:2_a.b')
    expect(shellWord("http://x/?a=b&c='d'")).toBe(`'http://x/?a=b&c='\\''d'\\'''`)
  })
})
