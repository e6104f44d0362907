import { describe, expect, it } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import zlib from 'node:zlib'
import { compress, decompress } from './compression.ts'
import { decompressStream } from './decompress-stream.ts'

const { ZSTD_c_checksumFlag, ZSTD_c_contentSizeFlag } = zlib.constants
const text = Buffer.from(Array.from({ length: 20_000 }, (_, i) => `CNGGZ,NLRTM,2021-01-31,${i % 5003}\n`).join(''))
const gzip = zlib.gzipSync(text)
const zstd = zlib.zstdCompressSync(text, { params: { [ZSTD_c_checksumFlag]: 1, [ZSTD_c_contentSizeFlag]: 0 } })
const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])

function changed(body: Buffer, at: number, byte: number): Buffer {
  const copy = Buffer.from(body)
  copy[at < 0 ? body.length + at : at] = byte
  return copy
}
/** With a window of 2^log bytes in its head (RFC 8878, 3.1.1.1.2). */
const windowOf = (log: number): Buffer => changed(zstd, 5, (log - 10) << 3)
/** With the flag and the number of a dictionary in its head. */
const dictionary = Buffer.concat([changed(zstd, 4, 5).subarray(0, 6), Buffer.from([7]), zstd.subarray(6)])

async function* pieces(body: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += size) yield await Promise.resolve(body.subarray(at, at + size))
}
async function streamed(body: Uint8Array, encoding: 'gzip' | 'zstd', size: number): Promise<Buffer> {
  const out: Uint8Array[] = []
  for await (const piece of decompressStream(pieces(body, size), encoding)) out.push(piece)
  return Buffer.concat(out)
}
/** At once and as it comes, in pieces of any size. */
const ways: [string, (body: Uint8Array, encoding: 'gzip' | 'zstd') => Promise<Uint8Array>][] = [
  ['at once', decompress],
  ['as it comes', (body, encoding) => streamed(body, encoding, 65_536)],
  ['in small pieces', (body, encoding) => streamed(body, encoding, 7)],
]

describe.each(ways)('a body, %s', (_, read) => {
  it.each<[string, 'gzip' | 'zstd', Buffer, number]>([
    ['gzip', 'gzip', gzip, 1],
    ['zstd', 'zstd', zstd, 1],
    ['several members of gzip', 'gzip', Buffer.concat([gzip, gzip, gzip]), 3],
    ['several frames of zstd', 'zstd', Buffer.concat([zstd, zstd, zstd]), 3],
    ['frames of zstd to be skipped', 'zstd', Buffer.concat([skippable, zstd, skippable, zstd, skippable]), 2],
    ['zstd with the largest window', 'zstd', windowOf(23), 1],
    ['gzip of nothing', 'gzip', zlib.gzipSync(''), 0],
    ['zstd of nothing', 'zstd', zlib.zstdCompressSync(''), 0],
  ])('may be %s', async (_name, encoding, body, times) => {
    expect(Buffer.concat(new Array<Buffer>(times).fill(text)).equals(await read(body, encoding))).toBe(true)
  })

  it.each<[string, 'gzip' | 'zstd', Buffer, string]>([
    ['text', 'gzip', text, 'it begins with 43 4e'],
    ['text', 'zstd', text, 'it begins with 43 4e'],
    ['zstd', 'gzip', zstd, 'it begins with 28 b5'],
    ['zlib, which HTTP calls deflate', 'gzip', zlib.deflateSync(text), 'it begins with 78 9c'],
    ['cut', 'gzip', gzip.subarray(0, -9), 'it ends in the middle'],
    ['cut', 'zstd', zstd.subarray(0, -9), 'it ends in the middle'],
    ['cut in its second frame', 'zstd', Buffer.concat([zstd, zstd.subarray(0, 99)]), 'it ends in the middle'],
    ['damaged', 'gzip', changed(gzip, -6, 0), 'its checksum is wrong'],
    ['damaged', 'zstd', changed(zstd, -1, 0), 'its checksum is wrong'],
    ['followed by something else', 'gzip', Buffer.concat([gzip, text]), 'or after its end, is no gzip'],
    ['followed by something else', 'zstd', Buffer.concat([zstd, text]), 'or after its end, is no zstd'],
    ['followed by zeros', 'gzip', Buffer.concat([gzip, Buffer.alloc(9)]), 'or after its end, is no gzip'],
    ['with too large a window', 'zstd', windowOf(24), 'its window is larger than 8 MB'],
    ['with the largest window there is', 'zstd', windowOf(31), 'its window is larger than 8 MB'],
    ['with a dictionary', 'zstd', dictionary, 'it needs a dictionary'],
  ])('that is %s is no %s, and is told why', async (_name, encoding, body, reason) => {
    await expect(read(body, encoding)).rejects.toMatchObject({
      name: 'BadEncoding',
      message: expect.stringMatching(new RegExp(`^it is no whole ${encoding}: .*${reason}`)),
    })
  })
})

describe('a damaged file', () => {
  const noise = Buffer.concat(Array.from({ length: 20 }, () => randomBytes(65_536)))
  it.each<[string, 'gzip' | 'zstd', Buffer, number]>([
    ['gzip', 'gzip', zlib.gzipSync(noise), 700_000],
    ['the second of two members', 'gzip', Buffer.concat([gzip, zlib.gzipSync(noise)]), 900_000],
    ['zstd', 'zstd', zlib.zstdCompressSync(noise, { params: { [ZSTD_c_checksumFlag]: 1 } }), 700_000],
  ])('is told after which byte: %s', async (_, encoding, body, at) => {
    const broken = Buffer.from(body).fill(0xff, at, at + 300_000) // the head of a block is among them
    const fault = await streamed(broken, encoding, 65_536).then(
      () => '',
      (error: Error) => error.message,
    )
    const [, told] = /^it is no whole (?:gzip|zstd): after byte (\d+) \S/.exec(fault) ?? []
    expect(Number(told)).toBeGreaterThanOrEqual(at - 65_536)
    expect(Number(told)).toBeLessThan(at + 300_000)
  })

  it.each([
    ['gzip', gzip],
    ['zstd', zstd],
  ] as const)(
    'of %s in pieces cut where its members end is whole, and not where they are cut',
    async (encoding, one) => {
      async function* of(...list: Uint8Array[]): AsyncGenerator<Uint8Array> {
        for (const piece of list) yield await Promise.resolve(piece)
      }
      const all = (...list: Uint8Array[]): Promise<Buffer> => buffer(decompressStream(of(...list), encoding))
      expect((await all(one, one, one)).equals(Buffer.concat([text, text, text]))).toBe(true)
      await expect(all(one, one.subarray(0, 20))).rejects.toThrow('it ends in the middle')
      await expect(all(one, Buffer.from('and more'))).rejects.toThrow(`after byte ${one.length} something in it`)
      await expect(all()).rejects.toThrow('it ends in the middle')
    },
  )
})

describe('a chunk', () => {
  it.each(['gzip', 'zstd', 'identity'] as const)('comes back from %s, and is the same each time', async (encoding) => {
    const packed = await compress(text, encoding)
    expect(Buffer.from(await decompress(packed, encoding)).equals(text)).toBe(true)
    expect(await compress(text, encoding)).toEqual(packed)
  })

  it.each([
    ['gzip', 'identity', gzip, 'the body is gzip, and there is no content-encoding: gzip'],
    ['zstd', 'identity', zstd, 'the body is zstd, and there is no content-encoding: zstd'],
    ['gzip in gzip', 'gzip', zlib.gzipSync(gzip), 'what is left after gzip is gzip still; a body is compressed once'],
    ['zstd in gzip', 'gzip', zlib.gzipSync(zstd), 'what is left after gzip is zstd still; a body is compressed once'],
  ] as const)('of %s under content-encoding %s is told so', async (_, encoding, body, message) => {
    await expect(decompress(body, encoding)).rejects.toMatchObject({ name: 'BadEncoding', message })
  })

  const noise = randomBytes(60_000)
  it.each<[string, number, number, string | undefined]>([
    ['8 000 000 bytes are taken', 8_000_000, 60_000, undefined],
    ['one more is not', 8_000_001, 60_000, 'bytes of zstd become more than 8000000'],
    ['4 000 000 are taken from any number', 4_000_000, 0, undefined],
    [
      'more are only 200 times as many',
      4_000_001,
      0,
      'more than 4000000; from 4000000 on 200 times as many are the limit',
    ],
  ])('is limited: %s', async (_, size, incompressible, reason) => {
    const body = Buffer.alloc(size)
    noise.copy(body, 0, 0, incompressible)
    const packed = await compress(body, 'zstd')
    if (reason === undefined) expect((await decompress(packed, 'zstd')).length).toBe(size)
    else await expect(decompress(packed, 'zstd')).rejects.toThrow(reason)
  })

  it('of very many frames is refused: each costs a decoder', async () => {
    const many = Buffer.concat(new Array<Buffer>(1_001).fill(zlib.zstdCompressSync('')))
    await expect(decompress(many, 'zstd')).rejects.toThrow('it is of more than 1000 zstd streams in a row')
  })
})

describe('a bomb', () => {
  it.each(['gzip', 'zstd'] as const)('in %s takes no memory to be refused', async (encoding) => {
    // One stream of 256 MiB of zeros, which are never there at once.
    const zeros = Readable.from(new Array<Buffer>(256).fill(Buffer.alloc(1 << 20)))
    const bomb = await buffer(zeros.pipe(encoding === 'gzip' ? zlib.createGzip() : zlib.createZstdCompress()))
    const before = process.memoryUsage().rss
    await Promise.all([1, 2, 3].map(() => expect(decompress(bomb, encoding)).rejects.toThrow(/become more than \d{7}/)))
    expect(process.memoryUsage().rss - before).toBeLessThan(60 << 20)
    let seen = 0
    for await (const { length } of decompressStream(pieces(bomb, 65_536), encoding)) seen += length
    expect(seen).toBe(256 << 20)
    expect(process.memoryUsage().rss - before).toBeLessThan(60 << 20)
  })
})
