import { randomBytes } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectTaggingCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { type Admin, connectAdmin } from '@rates/service/kafka-admin'
import { openReader } from '@rates/service/kafka-reader'
import { createLogger } from '@rates/service/log'
import { coordinate } from '@rates/testing/coordinate'
import { eventually } from '@rates/testing/eventually'
import { objectStoreAt } from '@rates/testing/object-store'
import { temporaryFolder } from '@rates/testing/temporary-folder'
import { type ObjectStoreOptions, type RunningObjectStore, startObjectStore } from './object-store.ts'
import { findVersitygw } from './versitygw.ts'

let dir: string
let running: RunningObjectStore[]
let notes: string[]

beforeAll(async () => {
  await findVersitygw()
  dir = join(await temporaryFolder(), 'object-store')
  running = []
}, 600_000)
afterEach(async () => {
  for (const store of running.splice(0)) await store.stop()
})
afterAll(() => rm(dirname(dir), { recursive: true, force: true }))

async function start(options: Partial<ObjectStoreOptions> = {}) {
  notes = []
  const onProgress = (note: string): void => void notes.push(note)
  const common = { dir, port: 0, accessKey: 'somebody', secretKey: 'the-secret-of-somebody', onProgress }
  const server = await startObjectStore({ ...common, ...options })
  running.push(server)
  return { server, store: objectStoreAt(server) }
}

/** Returns the ETag of the whole. */
async function putInParts(client: S3Client, place: { Bucket: string; Key: string }, body: string) {
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(place))
  const { ETag } = await client.send(new UploadPartCommand({ ...place, UploadId, PartNumber: 1, Body: body }))
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] }
  return (await client.send(new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload }))).ETag
}

describe('startObjectStore', () => {
  it('has its objects still after a kill, and ends the one that a killed run left', async () => {
    const first = await start()
    expect(notes).toEqual([])
    const bucket = await first.store.bucket()
    await first.store.put(bucket, 'a folder/kept.csv', 'kept', { contentType: 'text/csv' })
    const second = await start()
    expect(notes).toEqual(['ended the object store that a killed run had left'])
    await first.server.exited
    expect(second.server.port).not.toBe(first.server.port)
    process.kill(second.server.pid, 'SIGKILL')
    await second.server.exited

    const { store } = await start()
    expect(notes).toEqual([])
    const found = await store.client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a folder/kept.csv' }))
    expect(await found.Body!.transformToString()).toBe('kept')
    expect(found.ContentType).toBe('text/csv')
    // A plain folder, in which a person may look.
    expect(await readFile(join(dir, 'objects', bucket, 'a folder', 'kept.csv'), 'utf8')).toBe('kept')
  })

  it('takes the next port where the one wanted is taken, and says so', async () => {
    const first = await start({ dir: `${dir}-one` })
    const second = await start({ dir: `${dir}-two`, port: first.server.port })
    expect(second.server.port).toBeGreaterThan(first.server.port)
    expect(notes).toEqual([`port ${first.server.port} is taken: the object store listens on ${second.server.port}`])
  })

  it('lets in those who have its keys, and does as its flags say', async () => {
    const { server, store } = await start({ dir: `${dir}-read`, region: 'eu-north-1', extra: ['--readonly'] })
    expect(server).toMatchObject({ region: 'eu-north-1', accessKeyId: 'somebody' })
    await expect(store.bucket()).rejects.toMatchObject({ name: 'AccessDenied' })
    const stranger = objectStoreAt({ ...server, secretAccessKey: 'another' })
    await expect(stranger.keys('none')).rejects.toMatchObject({ name: 'SignatureDoesNotMatch' })
  })

  it('says what the program said where it does not start', async () => {
    await expect(start({ extra: ['--no-such-flag'] })).rejects.toThrow(
      /^the object store did not start \(all of it: .*object-store\.log\):[^]*no-such-flag/,
    )
  })
})

describe('events of the object store', () => {
  const kafka = {
    brokers: coordinate('RATES_TEST_BROKERS').split(','),
    clientId: 'test',
    log: createLogger('test', 'silent'),
  }
  const topic = `test-${randomBytes(6).toString('hex')}.rates.objects`
  let admin: Admin
  beforeAll(async () => {
    admin = await connectAdmin(kafka)
    await admin.createTopic(topic, 1, 1, {})
  })
  afterAll(async () => {
    await admin.deleteTopics([topic])
    await admin.close()
  })

  it('come as records of their topic, one for each object that is created, and for nothing else', async () => {
    const { store } = await start({ dir: `${dir}-told`, events: { broker: kafka.brokers[0]!, topic } })
    const bucket = await store.bucket()
    const key = 'a folder/ü+% &.csv'
    const place = { Bucket: bucket, Key: key }
    const eTag = await store.put(bucket, key, 'first')
    const TagSet = [{ Key: 'rates-state', Value: 'succeeded' }]
    await store.client.send(new PutObjectTaggingCommand({ ...place, Tagging: { TagSet } }))
    await store.client.send(
      new CopyObjectCommand({ Bucket: bucket, Key: 'copied', CopySource: encodeURIComponent(`${bucket}/${key}`) }),
    )
    const whole = await putInParts(store.client, { Bucket: bucket, Key: 'whole' }, 'in parts')
    await store.client.send(new DeleteObjectCommand(place))
    const last = await store.put(bucket, 'last', '')

    const [first, ...created] = await told(5)
    expect(first).toEqual({ Service: 'S3', Event: 's3:TestEvent', Time: expect.any(String), Bucket: 'Test-Bucket' })
    const event = (eventName: string, object: object) => ({
      Records: [
        expect.objectContaining({
          eventSource: 'aws:s3',
          eventName: `s3:ObjectCreated:${eventName}`,
          s3: expect.objectContaining({
            bucket: expect.objectContaining({ name: bucket }),
            object: expect.objectContaining(object),
          }),
        }),
      ],
    })
    expect(created).toHaveLength(4)
    // They are sent side by side, and come in any order. The key is not encoded, as others encode it.
    expect(created).toEqual(
      expect.arrayContaining([
        event('Put', { key, eTag, size: 5 }),
        event('Copy', { key: 'copied', eTag }),
        event('CompleteMultipartUpload', { key: 'whole', eTag: whole }),
        event('Put', { key: 'last', eTag: last, size: 0 }),
      ]),
    )
  })

  /** The values in the topic, once there are so many of them. */
  async function told(count: number): Promise<unknown[]> {
    await eventually(async () => (await admin.ends(topic))[0]!.high >= BigInt(count))
    const found: unknown[] = []
    const reader = await openReader(kafka, topic)
    try {
      const all = { partition: 0, from: 0n, to: (await admin.ends(topic))[0]!.high }
      await reader.read(all, ({ value }) => void found.push(JSON.parse(String(value))))
    } finally {
      await reader.close()
    }
    return found
  }
})
