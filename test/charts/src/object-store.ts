import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { anyFreePort } from '@rates/local/ports'
import { spawnLogged } from '@rates/local/processes'
import { eventually } from '@rates/testing/eventually'
import { program } from './programs.ts'

export interface ObjectStore {
  endpoint: string
  region: string
  credentials: { accessKeyId: string; secretAccessKey: string }
  put(key: string, content: string | Uint8Array): Promise<void>
  stop(): Promise<void>
}

/** An object store with one bucket. It asks for the keys, and where a host is told, listens at all addresses. */
export async function startObjectStore(folder: string, bucket: string, host = '127.0.0.1'): Promise<ObjectStore> {
  const versitygw = await program('versitygw')
  const objects = join(folder, 'objects')
  await mkdir(join(objects, bucket), { recursive: true })
  const port = await anyFreePort()
  const endpoint = `http://${host}:${port}`
  const credentials = { accessKeyId: 'importer', secretAccessKey: 'the-secret-of-the-store' }
  const env = { ROOT_ACCESS_KEY: credentials.accessKeyId, ROOT_SECRET_KEY: credentials.secretAccessKey }
  const listen = host === '127.0.0.1' ? `${host}:${port}` : `:${port}`
  const server = await spawnLogged(versitygw, ['--port', listen, 'posix', objects], {
    log: join(folder, 'object-store.log'),
    env: { PATH: process.env['PATH'], ...env },
  })
  const stop = async (): Promise<void> => void (await server.stop('SIGTERM', 10_000))
  const answers = (): Promise<boolean> =>
    fetch(endpoint).then(
      () => true,
      () => false,
    )
  try {
    await eventually(answers, { within: 20_000, what: 'an answer of the object store' })
  } catch (cause) {
    await stop()
    throw new Error(`the object store does not answer:\n${await server.said()}`, { cause })
  }
  const region = 'us-east-1'
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true })
  return {
    endpoint,
    region,
    credentials,
    async put(key, content) {
      await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: content }))
    },
    async stop() {
      client.destroy()
      await stop()
    },
  }
}
