import { randomBytes } from 'node:crypto'
import { get } from 'node:http'
import { json } from 'node:stream/consumers'
import {
  CreateBucketCommand,
  GetObjectTaggingCommand,
  paginateListObjectsV2,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { coordinate } from './coordinate.ts'
import { type OfferedStore, type RefusedStore } from './on-demand.ts'

export interface TestObjectStore {
  endpoint: string
  region: string
  credentials: { accessKeyId: string; secretAccessKey: string }
  client: S3Client
  /** Makes a bucket of the caller's own, whose name begins with `name`, and returns its name. */
  bucket(name?: string): Promise<string>
  /** Returns the ETag, in its quotes. */
  put(bucket: string, key: string, body: string | Uint8Array, options?: PutOptions): Promise<string>
  tags(bucket: string, key: string): Promise<Record<string, string>>
  /** All keys, in the order of the store, which is that of their bytes. */
  keys(bucket: string): Promise<string[]>
}

export interface PutOptions {
  contentType?: string
  metadata?: Record<string, string>
}

/**
 * The object store of this run of the tests, which the first one to ask for it starts: in a beforeAll() with a timeout
 * of 10 minutes, as its program may have to be built first. It tells of no events; `startObjectStore` has more of it.
 */
export async function testObjectStore(): Promise<TestObjectStore> {
  const offered = await askForStore(coordinate('RATES_TEST_ON_DEMAND'))
  if ('fault' in offered) throw new Error(offered.fault)
  return objectStoreAt(offered)
}

/** The same for one that the caller has started. */
export function objectStoreAt({ url: endpoint, region, accessKeyId, secretAccessKey }: OfferedStore): TestObjectStore {
  const credentials = { accessKeyId, secretAccessKey }
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true })
  return {
    endpoint,
    region,
    credentials,
    client,
    async bucket(name = 'test') {
      const Bucket = `${name}-${randomBytes(6).toString('hex')}`
      await client.send(new CreateBucketCommand({ Bucket }))
      return Bucket
    },
    async put(Bucket, Key, body, { contentType: ContentType, metadata: Metadata } = {}) {
      const Body = Buffer.from(body)
      const { ETag } = await client.send(new PutObjectCommand({ Bucket, Key, Body, ContentType, Metadata }))
      return ETag!
    },
    async tags(Bucket, Key) {
      const { TagSet = [] } = await client.send(new GetObjectTaggingCommand({ Bucket, Key }))
      return Object.fromEntries(TagSet.map((tag) => [tag.Key!, tag.Value!]))
    },
    async keys(Bucket) {
      const found: string[] = []
      for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket })) {
        found.push(...Contents.map(({ Key }) => Key!))
      }
      return found
    },
  }
}

/** Not by fetch(), which gives up after five minutes: a build may take longer. */
function askForStore(where: string): Promise<OfferedStore | RefusedStore> {
  return new Promise((resolve, reject) => {
    get(where, (answer) => resolve(json(answer) as Promise<OfferedStore | RefusedStore>)).once('error', reject)
  })
}
