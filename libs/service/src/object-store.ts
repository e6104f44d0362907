import { isTransient } from './transient.ts'

// What the services need of S3, and nothing of its SDK: whoever has no store configured does not load that.

export interface ObjectPlace {
  bucket: string
  key: string
}

/** An object as it is at one moment. */
export interface ObjectVersion {
  /** Without its quotes, as events and listings of different stores agree on it then. */
  etag: string
  /** Where the bucket keeps versions. */
  versionId?: string
  /** In bytes. */
  size: number
  contentType?: string
  contentEncoding?: string
  /** The user's own, by names in lower case. */
  metadata: Readonly<Record<string, string>>
}

/** What a reading holds on to. */
export type PinnedVersion = Pick<ObjectVersion, 'etag' | 'versionId' | 'size'>

export interface ListedObject {
  key: string
  etag: string
  size: number
}

/**
 * Faults are thrown as NoSuchObject, ObjectChanged, StoreRefused or StoreFault; an abort as its signal's reason. Each
 * request has been tried three times when it fails.
 */
export interface ObjectStore {
  /** @throws NoSuchObject, StoreRefused, StoreFault */
  head(place: ObjectPlace, versionId?: string): Promise<ObjectVersion>
  /**
   * The bytes of this version from `from` on, at the pace of their reader. A reading that breaks goes on where it was;
   * it fails when it broke five times without a byte in between. @throws ObjectChanged where there is another version now
   */
  read(
    place: ObjectPlace,
    version: PinnedVersion,
    options?: { signal?: AbortSignal | undefined; from?: number },
  ): AsyncGenerator<Buffer>
  /** Objects in the order of their keys' bytes. */
  list(
    bucket: string,
    prefix: string,
    options?: { startAfter?: string | undefined; signal?: AbortSignal | undefined },
  ): AsyncGenerator<ListedObject>
  /** Sets these tags and keeps the object's others; what somebody else sets at the same moment may be lost. */
  tag(
    place: ObjectPlace,
    tags: Readonly<Record<string, string>>,
    versionId?: string,
    signal?: AbortSignal,
  ): Promise<void>
  tags(place: ObjectPlace, versionId?: string): Promise<Record<string, string>>
  /**
   * Stores a body in constant memory: one part at a time is held. Nothing is there before all of it is. A fault of
   * `body` is thrown as it is. @param size in bytes, if known: a body of another size is refused
   */
  put(
    place: ObjectPlace,
    body: AsyncIterable<Uint8Array> | Uint8Array,
    options: { contentType: string; size?: number | undefined },
  ): Promise<{ etag: string }>
  /** It is no fault if there is none. */
  remove(place: ObjectPlace): Promise<void>
  /** Readings that go on end with a fault. */
  close(): void
}

export const addressOf = ({ bucket, key }: ObjectPlace): string => `s3://${bucket}/${key}`

export class NoSuchObject extends Error {
  constructor(what: string, cause?: unknown) {
    super(`there is no ${what}`, { cause })
    this.name = 'NoSuchObject'
  }
}

/** The version that a reading held on to is not the object's any more. */
export class ObjectChanged extends Error {
  constructor(place: ObjectPlace, cause?: unknown) {
    super(`${addressOf(place)} changed while it was read`, { cause })
    this.name = 'ObjectChanged'
  }
}

/** The store does not know us, or does not let us. */
export class StoreRefused extends Error {
  /** In the store's word, such as AccessDenied; it gives none where it was asked by HEAD. */
  readonly reason: string
  constructor(address: string, reason: string, cause?: unknown) {
    super(`the store refuses ${address}: ${reason}`, { cause })
    this.name = 'StoreRefused'
    this.reason = reason
  }
}

/** Anything else that came in between; `isTransient` where trying again later may help. */
export class StoreFault extends Error {
  readonly isTransient: boolean
  constructor(address: string, what: string, isTransient: boolean, cause?: unknown) {
    super(`${address}: ${what}`, { cause })
    this.name = 'StoreFault'
    this.isTransient = isTransient
  }

  /** HTTP's, if the store answered. */
  get status(): number | undefined {
    return (this.cause as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode
  }
}

/** Of S3 and of stores like it. NoSuchUpload: the parts of an object are gone, and it has to be stored anew. */
const PASSING = /^(TimeoutError|RequestTimeout|SlowDown|Throttl|TooManyRequests|RequestLimitExceeded|NoSuchUpload)/

/**
 * True where trying again later may help: the network, 5xx, 429, and what means the same. Or a certificate is not
 * trusted, which somebody has to mend who may do so while we run, and which no object is the cause of.
 */
export function isTransientOfStore(error: unknown): boolean {
  if (error instanceof StoreFault) return error.isTransient
  if (error instanceof NoSuchObject || error instanceof ObjectChanged || error instanceof StoreRefused) return false
  if (typeof error !== 'object' || error === null) return false
  const { name, message, code, $metadata, cause } = error as Partial<
    Record<'name' | 'message' | 'code' | '$metadata' | 'cause', unknown>
  >
  const status = ($metadata as { httpStatusCode?: number } | undefined)?.httpStatusCode ?? 0
  if (status === 429 || (status >= 500 && status !== 501)) return true
  if (typeof name === 'string' && PASSING.test(name)) return true
  if ($metadata === undefined && typeof message === 'string' && message.includes('certificate')) return true
  return code === 'ERR_STREAM_PREMATURE_CLOSE' || isTransient(error) || isTransientOfStore(cause)
}
