import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GetObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { isTransientOfStore, StoreRefused } from '@rates/service/object-store'
import { eventually } from '@rates/testing/eventually'
import { startFaultProxy, type FaultProxy } from '@rates/testing/fault-proxy'
import { sum } from '@rates/testing/metrics-text'
import { testObjectStore, type TestObjectStore } from '@rates/testing/object-store'
import { temporaryFolder } from '@rates/testing/temporary-folder'
import { ClaimGone, ClaimStore, ClaimTooLarge } from './claim-store.ts'
import { ClaimSweep } from './claim-sweep.ts'
import { startTestApp, type TestApp } from './test-app.ts'
import { bodyOf, claimContent, inPieces, pausedReader, putSealed, sha256Of } from './test-claims.ts'

/** More than S3 takes in one part, and than the buffers of a connection do. */
const LARGE = 20 << 20
const TEN_MINUTES = 600_000

let store: TestObjectStore
let proxy: FaultProxy
let bucket: string
let secretFile: string
let s3: Record<string, string>
/** Settings of who puts claims into the bucket, on the database of the others. */
let inBucket: Record<string, string>
let api: TestApp
/** Of the same database, without a bucket of its own. */
let without: TestApp

beforeAll(async () => {
  store = await testObjectStore()
  proxy = await startFaultProxy(store.endpoint)
  bucket = await store.bucket('claims')
  const folder = await temporaryFolder()
  const idFile = join(folder, 'id')
  secretFile = join(folder, 'secret')
  await writeFile(idFile, store.credentials.accessKeyId)
  await writeFile(secretFile, store.credentials.secretAccessKey)
  s3 = {
    S3_ENDPOINT: proxy.url,
    S3_REGION: store.region,
    S3_ACCESS_KEY_ID_FILE: idFile,
    S3_SECRET_ACCESS_KEY_FILE: secretFile,
    CLAIM_MAX_BYTES: String(LARGE),
  }
  api = await startTestApp({ ...s3, CLAIM_BUCKET: bucket })
  without = await startTestApp({ ...s3, DATABASE_URL: api.databaseUrl })
  inBucket = { CLAIM_BUCKET: bucket, DATABASE_URL: api.databaseUrl }
}, TEN_MINUTES)
afterAll(async () => {
  await without.close()
  await api.close()
  await proxy.close()
})
beforeEach(async () => {
  proxy.up()
  await api.pool.query('delete from claims')
})

const claims = (): ClaimStore => api.app.get(ClaimStore)
const urlOf = ({ id }: { id: string }, app = api): string => `${app.url}/claims/${id}`
const keyOf = ({ id }: { id: string }): string => `claims/${id}`
const sweep = (): Promise<void> => api.app.get(ClaimSweep).round()
const expire = (): Promise<unknown> => api.pool.query("update claims set expires_at = now() - interval '1 day'")
const toRemove = async (): Promise<number> => sum(await api.metrics(), 'rates_claim_objects_to_remove')

describe('claims in a bucket', () => {
  it.each([
    ['of several parts', LARGE],
    ['of one', 1000],
    ['without a byte', 0],
  ])('are objects that are read as they were put: content %s', async (_, bytes) => {
    const content = claimContent(bytes)
    const claim = await putSealed(api, content, 'application/x-ndjson')
    const object = await store.client.send(new GetObjectCommand({ Bucket: bucket, Key: keyOf(claim) }))
    expect(sha256Of(await object.Body!.transformToByteArray())).toBe(claim.sha256)
    expect(object.ContentType).toBe('application/x-ndjson')
    expect((await api.pool.query('select from claim_parts')).rowCount).toBe(0)
    const answer = await fetch(urlOf(claim))
    expect(answer.headers.get('content-length')).toBe(String(bytes))
    expect(sha256Of(Buffer.from(await answer.arrayBuffer()))).toBe(sha256Of(content))
  })

  it('are not sealed before somebody has sealed them, and leave nothing where putting them fails', async () => {
    const before = await store.keys(bucket)
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* inPieces(claimContent(9 << 20))
      throw new Error('the query broke')
    }
    const options = { contentType: 'text/csv' }
    await expect(claims().put(broken(), options)).rejects.toThrow('the query broke')
    await expect(claims().put(inPieces(Buffer.alloc(LARGE + 1), 1 << 20), options)).rejects.toThrow(ClaimTooLarge)
    expect(await store.keys(bucket)).toEqual(before)
    const claim = await claims().put(inPieces(claimContent(10)), options)
    expect((await fetch(urlOf(claim))).status).toBe(404)
  })

  it('are found wherever they were put, whatever the settings are now', async () => {
    const [inBucket, inDatabase] = [await putSealed(api, claimContent(10)), await putSealed(without, claimContent(20))]
    expect(await store.keys(bucket)).not.toContain(keyOf(inDatabase))
    const lengths = await Promise.all(
      [api, without].flatMap((app) =>
        [inBucket, inDatabase].map(async (claim) => (await (await fetch(urlOf(claim, app))).text()).length),
      ),
    )
    expect(lengths).toEqual([10, 20, 10, 20])
  })

  it('are removed from it when they have expired, or were abandoned; later, if the store is away', async () => {
    const expired = await putSealed(api, claimContent(10))
    const kept = await claims().put(inPieces(claimContent(10)), { contentType: 'text/csv' })
    const abandoned = await claims().put(inPieces(claimContent(10)), { contentType: 'text/csv' })
    await expire()
    await api.pool.query("update claims set created_at = now() - interval '2 hours' where id = $1", [abandoned.id])
    const present = async (): Promise<boolean[]> => {
      const keys = await store.keys(bucket)
      return [expired, abandoned, kept].map((claim) => keys.includes(keyOf(claim)))
    }
    proxy.down()
    await sweep()
    expect([await toRemove(), (await fetch(urlOf(expired))).status, ...(await present())]).toEqual([
      ...[2, 410],
      ...[true, true, true],
    ])
    proxy.up()
    await Promise.all([sweep(), without.app.get(ClaimSweep).round()])
    await sweep()
    expect([await toRemove(), (await fetch(urlOf(expired))).status, ...(await present())]).toEqual([
      ...[0, 410],
      ...[false, false, true],
    ])
  })

  it('that take so long that the sweep gives them up leave no object', async () => {
    const before = await store.keys(bucket)
    async function* forAnHour(): AsyncGenerator<Uint8Array> {
      yield* inPieces(claimContent(10))
      await api.pool.query("update claims set created_at = now() - interval '2 hours'")
      await sweep()
      expect(await toRemove()).toBe(0) // it has looked for the object, and found none
    }
    await expect(claims().put(forAnHour(), { contentType: 'text/csv' })).rejects.toThrow(ClaimGone)
    expect(await store.keys(bucket)).toHaveLength(before.length + 1)
    await sweep()
    expect(await store.keys(bucket)).toEqual(before)
  })

  it('are forgotten only once their objects are gone', async () => {
    await putSealed(api, claimContent(10))
    await expire()
    proxy.down()
    await sweep()
    await api.pool.query("update claims set removed_at = now() - interval '8 days'")
    await sweep()
    expect((await api.pool.query('select from claims')).rowCount).toBe(1)
    proxy.up()
    await sweep()
    expect((await api.pool.query('select from claims')).rowCount).toBe(0)
  })

  it('that somebody else has removed are gone, and those that were changed are never given whole', async () => {
    const [gone, changed] = [await putSealed(api, claimContent(10)), await putSealed(api, claimContent(LARGE))]
    await api.pool.query("update claims set bucket = 'no-such-bucket' where id = $1", [gone.id])
    expect((await fetch(urlOf(gone))).status).toBe(410)
    await store.put(bucket, keyOf(changed), Buffer.alloc(LARGE, 'x'))
    const answer = await fetch(urlOf(changed))
    expect(answer.status).toBe(200)
    await expect(answer.arrayBuffer()).rejects.toThrow('terminated')
  })
})

describe('a store that is away', () => {
  it('makes putting and reading fail for now, and nothing of it stays', async () => {
    const claim = await putSealed(api, claimContent(10))
    const away = await startTestApp({ ...s3, ...inBucket, S3_ENDPOINT: 'http://127.0.0.1:1' })
    const fault: unknown = await away.app
      .get(ClaimStore)
      .put(inPieces(claimContent(10)), { contentType: 'text/csv' })
      .catch((error: unknown) => error)
    expect(isTransientOfStore(fault)).toBe(true)
    const answer = await fetch(urlOf(claim, away))
    expect([answer.status, answer.headers.get('retry-after'), answer.headers.get('etag')]).toEqual([503, '5', null])
    await away.close()
    expect((await fetch(urlOf(claim))).status).toBe(200)
    expect((await api.pool.query('select from claims where removed_at is null')).rowCount).toBe(1)
  })

  it('for a moment in the middle of a stream is not noticed by its reader', async () => {
    const claim = await putSealed(api, claimContent(LARGE))
    const reader = await pausedReader(urlOf(claim))
    proxy.down()
    proxy.up()
    expect(sha256Of(await bodyOf(reader))).toBe(claim.sha256)
  })

  it('for longer cuts the connection', async () => {
    const claim = await putSealed(api, claimContent(LARGE))
    const reader = await pausedReader(urlOf(claim))
    proxy.down()
    await expect(bodyOf(reader)).rejects.toThrow('aborted')
    proxy.up()
    await eventually(async () => sum(await api.metrics(), 'rates_claim_readers') === 0)
  })
})

describe('credentials that are refused', () => {
  it('are told as what they are, and as 503 to readers; it goes on once they are right', async () => {
    const claim = await putSealed(api, claimContent(10))
    await writeFile(secretFile, 'of another one')
    const options = { contentType: 'text/csv' }
    await expect(claims().put(inPieces(claimContent(10)), options)).rejects.toThrow(StoreRefused)
    expect((await fetch(urlOf(claim))).status).toBe(503)
    await expire()
    await sweep()
    expect(await toRemove()).toBe(2)
    await writeFile(secretFile, store.credentials.secretAccessKey)
    await sweep()
    expect(await toRemove()).toBe(0)
    expect((await fetch(urlOf(await putSealed(api, claimContent(10))))).status).toBe(200)
  })
})
