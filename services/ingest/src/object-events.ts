import { BadObjectClaim, checkObjectClaim, type ObjectClaim } from '@rates/core/object-claim'

/** An object that its store tells of. */
export type CreatedObject = Pick<ObjectClaim, 'bucket' | 'key' | 'etag' | 'versionId'>

export interface ObjectEvents {
  created: CreatedObject[]
  /** What cannot be read of the notification; what can be is in `created` all the same. */
  fault: string | undefined
}

/**
 * Reads a notification of S3 (`{"Records": […]}`) as AWS, MinIO, Ceph and versitygw send it; never throws. What is no
 * new object is skipped: other kinds of events, the test event of a new subscription, empty objects, and keys that end
 * in a slash, which is how folders are shown.
 */
export function readObjectEvents(value: Uint8Array | null): ObjectEvents {
  let notification: unknown
  try {
    notification = JSON.parse(Buffer.from(value ?? []).toString())
  } catch {
    return { created: [], fault: 'it is not JSON' }
  }
  const { Records: records, Event: test } = fieldsOf(notification)
  if (test === 's3:TestEvent') return { created: [], fault: undefined }
  if (!Array.isArray(records)) return { created: [], fault: 'it has no "Records"' }
  const created: CreatedObject[] = []
  const faults: string[] = []
  records.forEach((record: unknown, i) => {
    try {
      const object = readRecord(record)
      if (object) created.push(object)
    } catch (error) {
      if (!(error instanceof BadObjectClaim)) throw error
      faults.push(`its record ${i}: ${error.message}`)
    }
  })
  return { created, fault: faults.length === 0 ? undefined : faults.join('; ') }
}

/** @returns undefined if it is about nothing that could be loaded. @throws BadObjectClaim */
function readRecord(record: unknown): CreatedObject | undefined {
  const { eventName, s3 } = fieldsOf(record)
  if (typeof eventName !== 'string') throw new BadObjectClaim('eventName', 'is missing')
  if (!/^(s3:)?ObjectCreated:/.test(eventName)) return undefined
  const { bucket, object } = fieldsOf(s3)
  const { name, arn } = fieldsOf(bucket)
  const { key, size, eTag, versionId } = fieldsOf(object)
  const decoded = typeof key === 'string' && arn !== literalArn(name, key) ? decodeKey(key) : key
  const claim = checkObjectClaim({ bucket: name, key: decoded, etag: eTag || null, versionId: versionId || null })
  return size === 0 || claim.key.endsWith('/') ? undefined : claim
}

/** How versitygw names the bucket of an object; it alone does not encode keys. */
const literalArn = (bucket: unknown, key: string): string => `arn:aws:s3:::/${String(bucket)}/${key}`

/** Keys are encoded as in the query of a URL. */
function decodeKey(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '))
  } catch {
    throw new BadObjectClaim('key', 'is not URL-encoded')
  }
}

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
