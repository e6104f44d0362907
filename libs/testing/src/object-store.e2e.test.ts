import { beforeAll, describe, expect, it } from '@jest/globals'
import { GetObjectCommand, HeadObjectCommand, PutObjectTaggingCommand } from '@aws-sdk/client-s3'
import { testObjectStore, type TestObjectStore } from './object-store.ts'

let store: TestObjectStore
beforeAll(async () => {
  store = await testObjectStore()
}, 600_000)

async function text(bucket: string, key: string, how: { Range?: string; IfMatch?: string } = {}): Promise<string> {
  const { Body } = await store.client.send(new GetObjectCommand({ Bucket: bucket, Key: key, ...how }))
  return Body!.transformToString()
}

describe('the object store of the tests', () => {
  it('is one for all that ask, each in a bucket of its own', async () => {
    const again = await testObjectStore()
    expect(again.endpoint).toBe(store.endpoint)
    const [one, other] = [await store.bucket('inbox'), await again.bucket('inbox')]
    expect(one).toMatch(/^inbox-[0-9a-f]{12}$/)
    await store.put(one, 'a', 'of the one')
    expect([await again.keys(one), await again.keys(other)]).toEqual([['a'], []])
  })

  it('keeps bytes, type and metadata, and reads ranges', async () => {
    const bucket = await store.bucket()
    const etag = await store.put(bucket, 'a/b.csv', 'first second', {
      contentType: 'text/csv',
      metadata: { sender: 'somebody' },
    })
    const head = await store.client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'a/b.csv' }))
    expect(head).toMatchObject({
      ContentType: 'text/csv',
      Metadata: { sender: 'somebody' },
      ContentLength: 12,
      ETag: etag,
    })
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/)
    expect(await text(bucket, 'a/b.csv', { Range: 'bytes=6-' })).toBe('second')
  })

  it('gives the version that is asked for, or none', async () => {
    const bucket = await store.bucket()
    const first = await store.put(bucket, 'changed', 'first')
    expect(await text(bucket, 'changed', { IfMatch: first })).toBe('first')
    await store.put(bucket, 'changed', 'other')
    await expect(text(bucket, 'changed', { IfMatch: first })).rejects.toMatchObject({
      $metadata: { httpStatusCode: 412 },
    })
  })

  it('keeps tags', async () => {
    const bucket = await store.bucket()
    const place = { Bucket: bucket, Key: 'tagged' }
    await store.put(bucket, place.Key, 'first')
    expect(await store.tags(bucket, place.Key)).toEqual({})
    const TagSet = [
      { Key: 'rates-batch', Value: '7' },
      { Key: 'why', Value: 'a b: c' },
    ]
    await store.client.send(new PutObjectTaggingCommand({ ...place, Tagging: { TagSet } }))
    expect(await store.tags(bucket, place.Key)).toEqual({ 'rates-batch': '7', why: 'a b: c' })
  })

  it('lists all keys, more than one page of them', async () => {
    const bucket = await store.bucket()
    const keys = Array.from({ length: 1005 }, (_, i) => `folder/${String(i).padStart(4, '0')} ü+%.csv`)
    for (let at = 0; at < keys.length; at += 50) {
      await Promise.all(keys.slice(at, at + 50).map((key) => store.put(bucket, key, key)))
    }
    expect(await store.keys(bucket)).toEqual(keys)
  })
})
