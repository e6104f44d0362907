import { describe, expect, it } from '@jest/globals'
import { PART_BYTES, partBytesFor, partsOf } from './object-parts.ts'

const body = Buffer.from('abcdefghij')

async function* pieces(size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += size) yield await Promise.resolve(body.subarray(at, at + size))
}
async function cut(source: AsyncIterable<Uint8Array> | Uint8Array, partBytes: number): Promise<string[]> {
  const parts: string[] = []
  for await (const { bytes, isLast } of partsOf(source, partBytes)) {
    parts.push(`${Buffer.from(bytes).toString()}${isLast ? '.' : ''}`)
  }
  return parts
}

describe('partsOf', () => {
  it.each([
    [3, ['abc', 'def', 'ghi', 'j.']],
    [5, ['abcde', 'fghij.']],
    [10, ['abcdefghij.']],
    [11, ['abcdefghij.']],
  ])('cuts parts of %i bytes from pieces of any size, and none is empty', async (partBytes, parts) => {
    expect(await cut(body, partBytes)).toEqual(parts)
    for (const size of [1, 2, 3, 4, 5, 7, 10]) expect(await cut(pieces(size), partBytes)).toEqual(parts)
  })

  it('makes one empty part of nothing', async () => {
    async function* nothing(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(new Uint8Array(0))
    }
    expect(await cut(nothing(), 3)).toEqual(['.'])
    expect(await cut(new Uint8Array(0), 3)).toEqual(['.'])
  })
})

it('parts are larger where 10 000 of them would not do', () => {
  expect([partBytesFor(), partBytesFor(1), partBytesFor(10_000 * PART_BYTES)]).toEqual(Array(3).fill(PART_BYTES))
  expect(10_000 * partBytesFor(5e12)).toBeGreaterThanOrEqual(5e12)
})
