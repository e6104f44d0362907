import { GetObjectCommand, HeadObjectCommand, S3Client, S3ServiceException } from '@aws-sdk/client-s3'
import { setTimeout as sleep } from 'node:timers/promises'
import { type DumpSource } from './dump-file.ts'
import { DumpRefused } from './dump-refused.ts'

export interface S3Settings {
  /** Of a store that is not Amazon's. */
  endpoint?: string | undefined
  region: string
  /** Without it: as Amazon's own programs find one. */
  credentials?: { accessKeyId: string; secretAccessKey: string } | undefined
}

/** How often a reading that broke is taken up again without a byte in between. */
const TRIES = 5

/**
 * An object `s3://bucket/key`, streamed at the pace of its reader. Kafka may hold that up for as long as a store keeps no
 * connection: a reading that breaks goes on where it was. Both readings are of the same version of the object.
 * @throws DumpRefused if there is no such object, or not this version any more; else the store's error
 */
export async function s3Source(address: string, settings: S3Settings): Promise<DumpSource> {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(address) ?? []
  if (bucket === undefined || key === undefined) throw new DumpRefused(null, 'this is not of the form s3://bucket/key')
  const { endpoint, region, credentials } = settings
  const client = new S3Client({
    region,
    maxAttempts: 5,
    responseChecksumValidation: 'WHEN_REQUIRED', // of a part of an object there is none
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
    ...(credentials && { credentials }),
  })
  const place = { Bucket: bucket, Key: key }
  const head = await client.send(new HeadObjectCommand(place)).catch(explain)
  const { ContentLength: size = 0, ETag: version } = head

  async function* read(): AsyncGenerator<Buffer> {
    let at = 0
    for (let failures = 0; at < size;) {
      try {
        const request = new GetObjectCommand({ ...place, Range: `bytes=${at}-`, IfMatch: version })
        const { Body: body } = await client.send(request).catch(explain)
        for await (const piece of body as AsyncIterable<Uint8Array>) {
          at += piece.length
          failures = 0
          yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
        }
        if (at < size) throw new Error(`the store ended the object after ${at} of ${size} bytes`)
      } catch (error) {
        if (error instanceof DumpRefused || ++failures === TRIES) throw error
        await sleep(500 * failures)
      }
    }
  }
  return { size, read }
}

function explain(error: unknown): never {
  if (error instanceof S3ServiceException) {
    const status = error.$metadata.httpStatusCode
    if (status === 404) throw new DumpRefused(null, 'there is no such object')
    if (status === 412) throw new DumpRefused(null, 'the object changed while it was read; import it again')
    if (status === 401 || status === 403) throw new DumpRefused(null, `the store refuses it: ${error.name}`)
  }
  throw error
}
