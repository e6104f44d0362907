import { copyFile, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import { certify, makeCa } from '@rates/testing/certificates'
import { startFaultProxy } from '@rates/testing/fault-proxy'
import { testObjectStore, type TestObjectStore } from '@rates/testing/object-store'
import { temporaryFolder } from '@rates/testing/temporary-folder'
import { z } from 'zod'
import { loadConfig, objectStoreSettings } from './config.ts'
import { NoSuchObject, ObjectChanged, StoreRefused, type ObjectStore } from './object-store.ts'
import { S3ObjectStore } from './object-store-s3.ts'
import { openObjectStore } from './open-object-store.ts'

// What object-store-s3.test.ts tries with a store that can break on purpose, with a real one.

const contentType = 'text/csv'
const large = Buffer.from(Uint32Array.from({ length: 5_000_000 }, (_, i) => i).buffer)

let real: TestObjectStore
let store: ObjectStore
let bucket: string
beforeAll(async () => {
  real = await testObjectStore()
  bucket = await real.bucket('inbox')
  store = open()
}, 600_000)
afterAll(() => store?.close())

const open = (settings: Partial<ConstructorParameters<typeof S3ObjectStore>[0]> = {}): S3ObjectStore => {
  const { endpoint, region, credentials } = real
  return new S3ObjectStore({ endpoint, region, credentials, ...settings })
}
const at = (key: string): { bucket: string; key: string } => ({ bucket, key })

async function* pieces(body: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < body.length; from += size) yield await Promise.resolve(body.subarray(from, from + size))
}

describe('an object', () => {
  it('has its size, type and metadata', async () => {
    const etag = await real.put(bucket, 'a folder/ü+%.csv', 'orig,dest', { contentType, metadata: { sender: 'me' } })
    expect(await store.head(at('a folder/ü+%.csv'))).toEqual({
      etag: etag.slice(1, -1),
      size: 9,
      contentType,
      metadata: { sender: 'me' },
    })
  })

  it.each([
    ['of no bytes', Buffer.alloc(0)],
    ['of a few', Buffer.from('a few')],
    ['of several parts', large],
    ['of exactly one part', large.subarray(0, 8 << 20)],
  ])('%s comes back as it was stored', async (name, body) => {
    for (const source of [pieces(body, 70_000), body]) {
      const place = at(`stored ${name}`)
      const { etag } = await store.put(place, source, { contentType, size: body.length })
      const version = await store.head(place)
      expect(version).toMatchObject({ etag, size: body.length, contentType })
      expect((await buffer(store.read(place, version))).equals(body)).toBe(true)
      await store.remove(place)
    }
  })

  it('is read on where connections broke', async () => {
    const place = at('long')
    await real.put(bucket, place.key, large)
    const proxy = await startFaultProxy(real.endpoint)
    const through = open({ endpoint: proxy.url })
    try {
      const list: Buffer[] = []
      let bytes = 0
      let cuts = 0
      for await (const piece of through.read(place, await through.head(place))) {
        list.push(piece)
        bytes += piece.length
        if (bytes < (cuts + 1) * 4_000_000) continue
        proxy.down()
        proxy.up()
        cuts++
      }
      expect(cuts).toBeGreaterThanOrEqual(4)
      expect(Buffer.concat(list).equals(large)).toBe(true)
    } finally {
      through.close()
      await proxy.close()
    }
  })

  it('is not read as a mixture of two versions', async () => {
    const place = at('changed')
    await real.put(bucket, place.key, large)
    const reading = store.read(place, await store.head(place))
    await reading.next()
    await reading.return(undefined)
    const version = await store.head(place)
    await real.put(bucket, place.key, large.subarray(4))
    await expect(buffer(store.read(place, version, { from: 1000 }))).rejects.toBeInstanceOf(ObjectChanged)
  })

  it('keeps the tags that somebody else has given it', async () => {
    const place = at('tagged')
    await real.put(bucket, place.key, 'x')
    await store.tag(place, { theirs: '1', ours: 'loading' })
    await store.tag(place, { ours: 'succeeded' })
    expect(await store.tags(place)).toEqual({ theirs: '1', ours: 'succeeded' })
    expect(await real.tags(bucket, place.key)).toEqual({ theirs: '1', ours: 'succeeded' })
  })

  it('is gone when it is removed, which may be done twice', async () => {
    const place = at('removed')
    const version = await store.put(place, Buffer.from('x'), { contentType })
    await store.remove(place)
    await store.remove(place)
    await expect(store.head(place)).rejects.toBeInstanceOf(NoSuchObject)
    await expect(buffer(store.read(place, { ...version, size: 1 }))).rejects.toBeInstanceOf(NoSuchObject)
    await expect(store.tag(place, { a: 'b' })).rejects.toBeInstanceOf(NoSuchObject)
  })

  it('leaves nothing behind where its body breaks', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* pieces(large, 1 << 20)
      throw new Error('the sender is gone')
    }
    await expect(store.put(at('broken'), broken(), { contentType })).rejects.toThrow('the sender is gone')
    await expect(store.head(at('broken'))).rejects.toBeInstanceOf(NoSuchObject)
    const { Uploads: left = [] } = await real.client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
    expect(left).toEqual([])
  })
})

it('objects are listed to the last page, from a key on', async () => {
  const many = await real.bucket('many')
  const keys = Array.from({ length: 1003 }, (_, i) => `in/${String(i).padStart(4, '0')}`)
  for (let i = 0; i < keys.length; i += 50) {
    await Promise.all(keys.slice(i, i + 50).map((key) => real.put(many, key, key)))
  }
  const etag = (await real.put(many, 'other', 'not asked for')).slice(1, -1)
  const list = async (prefix: string, startAfter?: string): Promise<unknown[]> => {
    const found: unknown[] = []
    for await (const object of store.list(many, prefix, { startAfter })) found.push(object)
    return found
  }
  expect((await list('in/')).map((object) => (object as { key: string }).key)).toEqual(keys)
  expect(await list('in/', 'in/1001')).toMatchObject([{ key: 'in/1002', size: 7 }])
  expect(await list('', 'in/1002')).toEqual([{ key: 'other', etag, size: 13 }])
})

it('who has not its keys, or means no bucket of it, is told so', async () => {
  await real.put(bucket, 'secret', 'x')
  const { accessKeyId } = real.credentials
  const wrong = open({ credentials: { accessKeyId, secretAccessKey: 'not-the-secret' } })
  const refused = [
    wrong.head(at('secret')),
    wrong.put(at('more'), Buffer.from('x'), { contentType }),
    wrong.put(at('much'), large, { contentType }),
    wrong.tags(at('secret')),
    wrong.list(bucket, '').next(),
    wrong.remove(at('secret')),
  ]
  for (const each of refused) {
    const fault: unknown = await each.catch((error: unknown) => error)
    expect(fault).toBeInstanceOf(StoreRefused)
    expect(String(fault)).not.toContain('not-the-secret')
  }
  wrong.close()
  const elsewhere = { bucket: 'no-such-bucket', key: 'x' }
  await expect(store.put(elsewhere, Buffer.from('x'), { contentType })).rejects.toThrow('no bucket no-such-bucket')
  await expect(store.list(elsewhere.bucket, '').next()).rejects.toBeInstanceOf(NoSuchObject)
})

it('a store is opened by settings, whose keys may be replaced while it is used', async () => {
  const folder = await temporaryFolder()
  const { accessKeyId, secretAccessKey } = real.credentials
  const files = { S3_ACCESS_KEY_ID_FILE: join(folder, 'id'), S3_SECRET_ACCESS_KEY_FILE: join(folder, 'secret') }
  await writeFile(files.S3_ACCESS_KEY_ID_FILE, accessKeyId)
  await writeFile(files.S3_SECRET_ACCESS_KEY_FILE, 'the one before')
  const settings = { S3_ENDPOINT: real.endpoint, S3_REGION: real.region, ...files }
  const opened = await openObjectStore(loadConfig(z.object(objectStoreSettings), settings))
  try {
    await expect(opened.head(at('secret'))).rejects.toBeInstanceOf(StoreRefused)
    await writeFile(files.S3_SECRET_ACCESS_KEY_FILE, `${secretAccessKey}\n`)
    await opened.put(at('opened'), Buffer.from('x'), { contentType })
    expect(await opened.head(at('opened'))).toMatchObject({ size: 1 })
  } finally {
    opened.close()
    await rm(folder, { recursive: true })
  }
})

it('a store with TLS has to be certified by the CA, whose file may be replaced', async () => {
  const folder = await temporaryFolder()
  const [ca, other] = [await makeCa(folder, 'ca'), await makeCa(folder, 'other')]
  const { key, certificate } = await certify(folder, ca, 'store', 'IP:127.0.0.1')
  const tls = { key: await readFile(key), cert: await readFile(certificate) }
  const server = createServer(tls, (_, response) => response.writeHead(200, { etag: '"v1"' }).end())
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  const caFile = join(folder, 'trusted.crt')
  await copyFile(other.certificate, caFile)
  const secure = open({ endpoint: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, caFile })
  try {
    const fault: unknown = await secure.head(at('x')).catch((error: unknown) => error)
    expect(fault).toMatchObject({
      name: 'StoreFault',
      isTransient: true,
      message: expect.stringContaining('certificate'),
    })
    await copyFile(ca.certificate, caFile)
    expect(await secure.head(at('x'))).toMatchObject({ etag: 'v1' })
  } finally {
    secure.close()
    server.close()
    await rm(folder, { recursive: true })
  }
})
