import { NoSuchObject, ObjectChanged, StoreRefused, type ObjectPlace } from '@rates/service/object-store'
import { S3ObjectStore } from '@rates/service/object-store-s3'
import { type S3Settings } from '@rates/service/open-object-store'
import { type DumpSource } from './dump-file.ts'
import { DumpRefused } from './dump-refused.ts'

/**
 * An object `s3://bucket/key`, streamed at the pace of its reader. Kafka may hold that up for as long as a store keeps no
 * connection: a reading that breaks goes on where it was. Both readings are of the same version of the object.
 * @throws DumpRefused if there is no such object, or not this version any more; else the store's error
 */
export async function s3Source(address: string, settings: S3Settings): Promise<DumpSource> {
  const place = placeOf(address)
  const store = new S3ObjectStore(settings)
  const version = await store.head(place).catch(refuse)

  async function* read(): AsyncGenerator<Buffer> {
    try {
      yield* store.read(place, version)
    } catch (error) {
      refuse(error)
    }
  }
  return { size: version.size, read }
}

function placeOf(address: string): ObjectPlace {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(address) ?? []
  if (bucket === undefined || key === undefined) throw new DumpRefused(null, 'this is not of the form s3://bucket/key')
  return { bucket, key }
}

function refuse(error: unknown): never {
  if (error instanceof NoSuchObject) throw new DumpRefused(null, 'there is no such object')
  if (error instanceof ObjectChanged) {
    throw new DumpRefused(null, 'the object changed while it was read; import it again')
  }
  if (error instanceof StoreRefused) throw new DumpRefused(null, `the store refuses it: ${error.reason}`)
  throw error
}
