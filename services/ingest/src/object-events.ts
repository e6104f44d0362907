import { BadObjectClaim, checkObjectClaim, type ObjectClaim } from '@rates/core/object-claim'

/** An object that its store tells of. */
export interface CreatedObject extends Pick<ObjectClaim, 'bucket' | 'key' | 'etag' | 'versionId'> {
  /** Of its record among those of the notification. */
  index: number
}

export interface ObjectEvents {
  created: CreatedObject[]
  /** Objects of buckets that are not loaded: a store may tell of all that it has. */
  foreign: number
  /** What cannot be read of the notification; what can be is in `created` all the same. */
  fault: string | undefined
}

const MAX_BYTES = 1 << 20
const MAX_FAULTS = 10

/**
 * Reads a notification of S3 (`{"Records": […]}`) as AWS, MinIO, Ceph and versitygw send it; never throws. What is no
 * new object is skipped: other kinds of events, the test event of a new subscription, empty objects, and keys that end
 * in a slash, which is how folders are shown.
 */
export function readObjectEvents(value: Uint8Array | null, buckets: readonly string[]): ObjectEvents {
  const nothing = { created: [], foreign: 0 }
  const bytes = value?.length ?? 0
  if (bytes > MAX_BYTES) return { ...nothing, fault: `it has ${bytes} bytes; a notification may have ${MAX_BYTES}` }
  let notification: unknown
  try {
    notification = JSON.parse(Buffer.from(value ?? []).toString())
  } catch {
    return { ...nothing, fault: 'it is not JSON' }
  }
  const { Records: records, Event: test } = fieldsOf(notification)
  if (test === 's3:TestEvent') return { ...nothing, fault: undefined }
  if (!Array.isArray(records)) return { ...nothing, fault: 'it has no "Records"' }
  const created: CreatedObject[] = []
  const faults: string[] = []
  let foreign = 0
  records.forEach((record: unknown, index) => {
    try {
      const object = readRecord(record, buckets)
      if (object === 'foreign') foreign++
      else if (object) created.push({ ...object, index })
    } catch (error) {
      if (!(error instanceof BadObjectClaim)) throw error
      faults.push(`its record ${index}: ${error.message}`)
    }
  })
  return { created, foreign, fault: faults.length === 0 ? undefined : summary(faults) }
}

function summary(faults: readonly string[]): string {
  const more = faults.length - MAX_FAULTS
  return [...faults.slice(0, MAX_FAULTS), ...(more > 0 ? [`and ${more} more`] : [])].join('; ')
}

/** Only these are of new content: MinIO calls a change of tags, as we make them, `ObjectCreated:PutTagging`. */
const CREATION = /^(s3:)?ObjectCreated:(Put|Post|Copy|CompleteMultipartUpload)$/

/** @returns undefined if it is about nothing that could be loaded. @throws BadObjectClaim */
function readRecord(record: unknown, buckets: readonly string[]): Omit<CreatedObject, 'index'> | 'foreign' | undefined {
  const { eventName, s3 } = fieldsOf(record)
  if (typeof eventName !== 'string') throw new BadObjectClaim('eventName', 'is missing')
  if (!CREATION.test(eventName)) return undefined
  const { bucket, object } = fieldsOf(s3)
  const { name, arn } = fieldsOf(bucket)
  if (typeof name === 'string' && !buckets.includes(name)) return 'foreign'
  const { key, size, eTag, versionId } = fieldsOf(object)
  const decoded = typeof key === 'string' && arn !== literalArn(name, key) ? decodeKey(key) : key
  if (size === 0 || (typeof decoded === 'string' && decoded.endsWith('/'))) return undefined
  return checkObjectClaim({
    bucket: name,
    key: decoded,
    etag: eTag === '""' ? null : eTag || null,
    versionId: versionId || null,
  })
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
