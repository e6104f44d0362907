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
