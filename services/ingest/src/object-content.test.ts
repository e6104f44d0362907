import { describe, expect, it } from '@jest/globals'
import { EmptyBatch } from '@rates/service/cut-batch'
import { createHash } from 'node:crypto'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { howToRead, objectContent, ObjectMismatch, ObjectUnreadable, type Encoding } from './object-content.ts'

const none = { contentType: null, contentEncoding: null }

describe('how an object is read', () => {
  it.each([
    [
      'the claim, before all else',
      { contentType: 'text/csv', contentEncoding: 'zstd' },
      { contentType: 'application/x-ndjson', contentEncoding: 'gzip' },
      'a.ndjson.gz',
      'csv',
      'zstd',
    ],
    [
      'the claim, which says that it is not compressed',
      { contentType: null, contentEncoding: 'identity' },
      {},
      'a.csv.gz',
      'csv',
      'identity',
    ],
    [
      'the object',
      none,
      { contentType: 'Text/CSV; charset=utf-8', contentEncoding: 'gzip' },
      'a.ndjson',
      'csv',
      'gzip',
    ],
    [
      'its type, of which lines of JSON have several',
      none,
      { contentType: 'application/jsonl' },
      'a',
      'ndjson',
      'identity',
    ],
    [
      'its key, where the type is what stores give to all',
      none,
      { contentType: 'binary/octet-stream' },
      'b/A.CSV',
      'csv',
      'identity',
    ],
    ['its key, lines of JSON', none, {}, 'a.jsonl.zst', 'ndjson', 'zstd'],
    [
      'its key and a type that tells the compression',
      none,
      { contentType: 'application/gzip' },
      'a.csv',
      'csv',
      'gzip',
    ],
    ['its type and its key, for the compression', none, { contentType: 'text/csv' }, '2026.gz', 'csv', 'gzip'],
  ] as const)('is told by %s', (_, claim, object, key, format, encoding) => {
    expect(howToRead(claim, object, key)).toEqual({ format, encoding })
  })

  it.each([
    ['nothing tells', {}, 'csv', /its content type is not set.*set the content type to text\/csv/],
    ['only others tell', { contentType: 'text/plain' }, 'a.txt.gz', /its content type is "text\/plain"/],
    ['it is compressed as we cannot', { contentEncoding: 'br' }, 'a.csv', /"br"; it may be gzip, zstd or identity/],
  ] as const)('is not known where %s', (_, object, key, message) => {
    expect(() => howToRead(none, object, key)).toThrow(message)
    expect(() => howToRead(none, object, key)).toThrow(ObjectUnreadable)
  })
})

/** All of it, and how it ended. */
async function read(bytes: Uint8Array, encoding: Encoding, options: { sha256?: Buffer; piece?: number } = {}) {
  const { sha256, piece = 7 } = options
  const store = {
    async *read() {
      for (let at = 0; at < bytes.length; at += piece)
        yield Promise.resolve(Buffer.from(bytes.subarray(at, at + piece)))
    },
  }
  const { signal } = new AbortController()
  let counted = 0
  const content = objectContent(
    store,
    { bucket: 'b', key: 'k' },
    { etag: 'e', size: bytes.length },
    {
      encoding,
      signal,
      onBytes: (count) => (counted += count),
      ...(sha256 && { sha256 }),
    },
  )
  const pieces: Uint8Array[] = []
  let fault: unknown
  try {
    for await (const each of content) pieces.push(each)
  } catch (error) {
    fault = error
  }
  return { text: Buffer.concat(pieces).toString(), fault, counted }
}

const text = 'CNGGZ,NLRTM,2026-01-01,1000\n'.repeat(50)
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

describe('the content of an object', () => {
  it.each([
    ['as it is', 'identity', Buffer.from(text)],
    ['of gzip', 'gzip', gzipSync(text)],
    ['of several members of gzip', 'gzip', Buffer.concat([gzipSync(text.slice(0, 99)), gzipSync(text.slice(99))])],
    ['of zstd', 'zstd', zstdCompressSync(text)],
  ] as const)('%s comes whole, with the digest of its bytes', async (_, encoding, bytes) => {
    const whole = { text, fault: undefined, counted: bytes.length }
    expect(await read(bytes, encoding, { sha256: sha256(bytes) })).toEqual(whole)
    expect(await read(bytes, encoding, { piece: 1e6 })).toEqual(whole)
  })

  it('with another digest is told at its end, of all of its bytes', async () => {
    const { fault, counted } = await read(Buffer.from(text), 'identity', { sha256: sha256(Buffer.from('other')) })
    expect(fault).toBeInstanceOf(ObjectMismatch)
    expect(counted).toBe(text.length)
  })

  it.each([
    ['that is cut off', gzipSync(text).subarray(0, -5), /it ends in the middle \(at its end, behind byte \d+ of \d+\)/],
    [
      'with something behind its end',
      Buffer.concat([gzipSync(text), Buffer.from('x'.repeat(50))]),
      /something in it, or after its end, is no gzip \(in its bytes \d+ to \d+ of \d+\)/,
    ],
    ['that is none', Buffer.from(text), /it begins with 43 4e 47 47 \(in its bytes 0 to 7 of 1400\)/],
    ['of gzip', gzipSync(gzipSync(text)), /a body is compressed once/],
  ] as const)('of gzip %s: the place is told', async (_, bytes, message) => {
    const { fault } = await read(bytes, 'gzip')
    expect(fault).toBeInstanceOf(ObjectUnreadable)
    expect((fault as Error).message).toMatch(message)
  })

  it('that is compressed and does not say so is not taken for rows', async () => {
    expect(await read(zstdCompressSync(text), 'identity')).toMatchObject({
      text: '',
      fault: expect.any(ObjectUnreadable),
    })
  })

  it('without a byte is no batch', async () => {
    expect((await read(Buffer.alloc(0), 'gzip')).fault).toBeInstanceOf(EmptyBatch)
  })
})
