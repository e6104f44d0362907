import { expect, it } from '@jest/globals'
import { storable } from './storable.ts'

it.each([
  ['as it is 😀 é\n', 'as it is 😀 é\n'],
  ['a\0b\0', 'a\ufffdb\ufffd'],
  ['half \ud83d', 'half \ufffd'],
  ['\ude00\ud83d', '\ufffd\ufffd'],
])('%j is kept as %j', (text, kept) => expect(storable(text)).toBe(kept))
