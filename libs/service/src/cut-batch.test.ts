import { describe, expect, it } from '@jest/globals'
import { cutBatch, EmptyBatch, type CutChunk, type CutOptions } from './cut-batch.ts'
import { decompress, sha256 } from './compression.ts'

const ROW = 'CNSHA,NLRTM,2026-01-31,1200\n'
const rows = (count: number): Buffer => Buffer.from(ROW.repeat(count))

async function* pieces(text: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < text.length; at += size) yield text.subarray(at, at + size)
}

async function cut(text: Buffer, options: CutOptions = {}, size = 100_000): Promise<CutChunk[]> {
  const chunks: CutChunk[] = []
  for await (const chunk of cutBatch(pieces(text, size), 'csv', { batchId: 'b' }, options)) chunks.push(chunk)
  return chunks
}

describe('cutBatch', () => {
  it('tells the total on each chunk of a batch for the first lane, else on the last', async () => {
    const small = await cut(rows(4 * 31_000))
    expect(small.map(({ headers: { chunk, chunks } }) => [chunk, chunks])).toEqual([0, 1, 2, 3].map((n) => [n, 4]))
    const large = await cut(rows(5 * 32_000))
    const told = [undefined, undefined, undefined, undefined, undefined, 6]
    expect(large.map(({ headers: { chunks } }) => chunks)).toEqual(told)
  })

  it('gives the same chunks for the same input, whatever the pieces it comes in', async () => {
    const text = rows(100_000)
    const [one, two] = [await cut(text, { encoding: 'zstd' }), await cut(text, { encoding: 'zstd' }, 7_777)]
    expect(two).toEqual(one)
    const bodies = await Promise.all(one.map(({ body }) => decompress(body, 'zstd')))
    expect(Buffer.concat(bodies).equals(text)).toBe(true)
    for (const { headers, body } of one) expect(headers.sha256).toBe(sha256(body).toString('hex'))
    expect(one.reduce((sum, { headers }) => sum + headers.rows, 0)).toBe(100_000)
  })

  // A batch that was broken off by an older version goes on with what this one cuts.
  it.each([
    [
      'identity',
      [
        '3252203c26ff0130af570efea5bf75e4b072a2a5555070baf4e37bfaa97b5d0d',
        'cf925b6744ee9243af7a40701a97abb8b0b5eb6960dcdcdcf53697cce22b96cb',
      ],
    ],
    [
      'zstd',
      [
        'eb643c6b6d939927366d21758076516bd4bfda61c926275347e3b67b635b9ad5',
        '359acd8f330ef23ce618679966bc471a4a2fcc239146628b77fb9ac11287e0c0',
      ],
    ],
  ] as const)('cuts as it always has: %s', async (encoding, sums) => {
    const lines = Array.from({ length: 40_000 }, (_, i) => `CNSHA,NLRTM,2026-01-${10 + (i % 20)},${1000 + i}\n`)
    const chunks = await cut(Buffer.from(lines.join('')), { encoding })
    expect(chunks.map(({ headers }) => headers.sha256)).toEqual(sums)
  })

  it('says how far it is while it does not know the total', async () => {
    let read = 0
    const chunks = await cut(rows(6 * 32_767), { progress: () => (read += 0.1) })
    const last = chunks.length - 1
    for (const { headers } of chunks.slice(0, last)) expect(headers.progress).toBeGreaterThan(0)
    expect(chunks[last]!.headers.progress).toBeUndefined()
  })

  it('cuts nothing out of nothing', async () => {
    await expect(cut(Buffer.from('orig_code,dest_code,day,price\n'))).rejects.toThrow(EmptyBatch)
  })

  it('stops when it is told to', async () => {
    const stop = new AbortController()
    const chunks = cutBatch(pieces(rows(200_000), 1000), 'csv', { batchId: 'b' }, { signal: stop.signal })
    await chunks.next()
    stop.abort(new Error('stopped'))
    await expect(chunks.next()).rejects.toThrow('stopped')
  })
})
