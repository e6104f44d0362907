import { join } from 'node:path'
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { startObjectStore as start } from '@rates/local/object-store'

export interface ObjectStore {
  endpoint: string
  region: string
  credentials: { accessKeyId: string; secretAccessKey: string }
  put(key: string, content: string | Uint8Array): Promise<void>
  stop(): Promise<void>
}

/** An object store with one bucket. It asks for the keys, and where a host is told, listens at all addresses. */
export async function startObjectStore(folder: string, bucket: string, host?: string): Promise<ObjectStore> {
  const store = await start({
    dir: join(folder, 'object-store'),
    port: 0,
    accessKey: 'importer',
    secretKey: 'the-secret-of-the-store',
    ...(host !== undefined && { host }),
  })
  const { url: endpoint, region, accessKeyId, secretAccessKey } = store
  const credentials = { accessKeyId, secretAccessKey }
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true })
  const stop = async (): Promise<void> => {
    client.destroy()
    await store.stop()
  }
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
  } catch (error) {
    await stop()
    throw error
  }
  return {
    endpoint,
    region,
    credentials,
    async put(key, content) {
      await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: content }))
    },
    stop,
  }
}
