import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { BadObjectClaim, readObjectClaim } from './object-claim.ts'

const read = (claim: unknown) => readObjectClaim(Buffer.from(JSON.stringify(claim)))
const whole = { bucket: 'acme-prices', key: 'a folder/ü+%.csv' }

describe('a claim of an object', () => {
  it('is read with all that it may say', () => {
    const claim = {
      ...whole,
      versionId: 'v1',
      sha256: 'a'.repeat(64),
      contentType: 'text/csv',
      contentEncoding: 'zstd',
      etag: 'e',
    }
    expect(read(claim)).toEqual(claim)
  })

  it('has its ETag without quotes, its digest in lower case, and null for nothing', () => {
    expect(read({ ...whole, etag: '"e-1"', sha256: 'AB'.repeat(32), versionId: null })).toEqual({
      ...whole,
      etag: 'e-1',
      sha256: 'ab'.repeat(32),
    })
  })

  it.each([
    ['bucket', { key: 'a' }, 'bucket is missing'],
    ['bucket', { ...whole, bucket: '../etc' }, 'bucket is not the name of a bucket'],
    ['key', { bucket: 'acme' }, 'key is missing'],
    ['key', { ...whole, key: 'a\u0000b' }, 'key is not the key of an object'],
    ['key', { ...whole, key: 'ü'.repeat(513) }, 'key is not well-formed text of up to 1024 bytes'],
    ['key', { ...whole, key: 'a\ud800' }, 'key is not well-formed text of up to 1024 bytes'],
    ...['..', 'a/..', './a', 'a/./b', '../a', '/a', 'a//b', 'a//'].map((key): [string, object, string] => [
      `key (${key})`,
      { ...whole, key },
      'key has a part between slashes that is empty, "." or ".."',
    ]),
    ['etag', { ...whole, etag: 'a b' }, 'etag is no ETag'],
    ['etag', { ...whole, etag: '""' }, 'etag is no ETag'],
    ['versionId', { ...whole, versionId: 1 }, 'versionId is no version of an object'],
    ['sha256', { ...whole, sha256: 'abc' }, 'sha256 is not 64 hexadecimal digits'],
    ['contentType', { ...whole, contentType: 'text/html' }, 'contentType is neither'],
    ['contentEncoding', { ...whole, contentEncoding: 'br' }, 'contentEncoding is none of'],
    ['another field', { ...whole, url: 'file:///etc' }, '"url" is no field of a claim'],
  ])('whose %s breaks its rule is refused with the rule', (_, claim, message) => {
    expect(() => read(claim)).toThrow(message)
  })

  it.each(['...', 'a/..b/.c', 'a..b', 'folder/', '.hidden'])('may be of the key %s', (key) => {
    expect(read({ ...whole, key }).key).toBe(key)
  })

  it('that is far longer than any claim is not parsed', () => {
    const short = { bucket: 'acme', key: 'a' }
    const padded = (bytes: number) => Buffer.from(JSON.stringify(short).padEnd(bytes))
    expect(readObjectClaim(padded(65_536))).toEqual(short)
    expect(() => readObjectClaim(padded(65_537))).toThrow('the value has 65537 bytes; a claim may have 65536')
  })

  it('is refused with nothing else, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((json) => Buffer.from(json)),
        ),
        (value) => {
          try {
            readObjectClaim(value)
          } catch (error) {
            expect(error).toBeInstanceOf(BadObjectClaim)
          }
        },
      ),
    )
    expect(() => readObjectClaim(null)).toThrow(BadObjectClaim)
  })
})
