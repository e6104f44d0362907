import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { openInput } from './batch-input.ts'

const CSV = 'CNSHA,NLRTM,2026-01-31,1200\n'.repeat(20_000)
let folder: string
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'rates-input-'))))
afterAll(() => rm(folder, { recursive: true }))

async function open(name: string, content: string | Uint8Array) {
  const file = join(folder, name)
  await writeFile(file, content)
  return openInput(file, undefined, new AbortController().signal)
}

async function textOf(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all).toString()
}

describe('openInput', () => {
  it.each([
    ['plain.csv', CSV],
    ['packed.csv.gz', gzipSync(CSV)],
    ['packed.dat', zstdCompressSync(CSV)],
  ])('reads %s to its end, byte for byte', async (name, content) => {
    const input = await open(name, content)
    expect(await textOf(input.pieces)).toBe(CSV)
    expect(input).toMatchObject({ format: 'csv', size: content.length })
    expect(input.bytesRead()).toBe(content.length)
  })

  it.each([
    ['a.csv', '{', 'csv'],
    ['a.jsonl', 'x', 'ndjson'],
    ['a.ndjson.gz', 'x', 'ndjson'],
    ['a', ' {"orig_code":1}', 'ndjson'],
    ['b', '\ufeff{"price":1}', 'ndjson'],
    ['c.txt', 'A,B,C,1', 'csv'],
    ['empty', '', 'csv'],
  ])('takes %s with %j for %s', async (name, content, format) => {
    const input = await open(name, content)
    expect(input.format).toBe(format)
    expect(await textOf(input.pieces)).toBe(content)
  })

  it.each([
    ['doc.json', '{ "prices": []}', '.prices[]'],
    ['list.json', '[{}]', '.[]'],
  ])('says how to turn %s into rows', async (name, content, path) => {
    await expect(open(name, content)).rejects.toMatchObject({ code: 2, message: expect.stringContaining(`'${path}'`) })
  })

  it('tells a file that is not there from one that is damaged', async () => {
    const signal = new AbortController().signal
    await expect(openInput(join(folder, 'none'), undefined, signal)).rejects.toMatchObject({ code: 2 })
    await expect(openInput(folder, undefined, signal)).rejects.toMatchObject({ code: 2 })
    const cut = gzipSync(CSV)
    const input = await open('cut.csv.gz', cut.subarray(0, cut.length - 20))
    await expect(textOf(input.pieces)).rejects.toMatchObject({ code: 'Z_BUF_ERROR' })
  })

  it('ends with an error when it is aborted', async () => {
    const stop = new AbortController()
    const file = join(folder, 'plain.csv')
    await writeFile(file, CSV)
    const input = await openInput(file, undefined, stop.signal)
    stop.abort()
    await expect(textOf(input.pieces)).rejects.toMatchObject({ name: 'AbortError' })
  })
})
