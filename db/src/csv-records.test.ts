import { describe, expect, it } from '@jest/globals'
import { csvRecords } from './csv-records.ts'

const read = (text: string): [line: number, fields: string[] | undefined][] =>
  [...csvRecords(text)].map(({ line, fields }) => [line, fields])

describe('the records of a CSV text', () => {
  it.each([
    ['nothing', '', []],
    ['a byte order mark alone', '\ufeff', []],
    ['a mark before a record', '\ufeffa,b', [[1, ['a', 'b']]]],
    [
      'LF, CRLF and no line break at the end',
      'a,b\nc,d\r\ne,f',
      [
        [1, ['a', 'b']],
        [2, ['c', 'd']],
        [3, ['e', 'f']],
      ],
    ],
    [
      'blank lines',
      '\n\r\na',
      [
        [1, ['']],
        [2, ['']],
        [3, ['a']],
      ],
    ],
    [
      'empty fields',
      ',\n"",""',
      [
        [1, ['', '']],
        [2, ['', '']],
      ],
    ],
    ['spaces, which belong to the fields', ' a , b', [[1, [' a ', ' b']]]],
    [
      'quotes',
      '"a,b","c""d"\ne,f',
      [
        [1, ['a,b', 'c"d']],
        [2, ['e', 'f']],
      ],
    ],
    [
      'line breaks in quotes, which count as lines',
      '"a\nb\r\nc",d\ne',
      [
        [1, ['a\nb\r\nc', 'd']],
        [4, ['e']],
      ],
    ],
    ['a quote within a plain field', 'a"b"c,d', [[1, ['a"b"c', 'd']]]],
    [
      'a quoted field that does not end',
      'a\n"b,c\nd\n',
      [
        [1, ['a']],
        [2, undefined],
      ],
    ],
    [
      'text behind a quoted field',
      '"a"b,c\nd',
      [
        [1, undefined],
        [2, ['d']],
      ],
    ],
    ['a comma at the end', '"a",\n', [[1, ['a', '']]]],
  ])('with %s', (_, text, expected) => expect(read(text)).toEqual(expected))

  it('keep their text', () => {
    expect([...csvRecords('a,"b\r\n"\r\nc')].map(({ text }) => text)).toEqual(['a,"b\r\n"', 'c'])
  })
})
