import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { setTimeout as sleep } from 'node:timers/promises'
import { partBytesFor, partsOf } from './object-parts.ts'
import {
  addressOf,
  isTransientOfStore,
  ObjectChanged,
  StoreFault,
  type ListedObject,
  type ObjectPlace,
  type ObjectStore,
  type ObjectVersion,
  type PinnedVersion,
} from './object-store.ts'
import { type S3Settings } from './open-object-store.ts'
import { connectS3, DEFAULT_LIMITS, type S3Limits } from './s3-client.ts'
import { explain, faultOf, unlessAborted } from './s3-faults.ts'

export class S3ObjectStore implements ObjectStore {
  readonly #client: S3Client
  readonly #limits: S3Limits
  #isClosed = false

  constructor(settings: S3Settings, limits: Partial<S3Limits> = {}) {
    this.#limits = { ...DEFAULT_LIMITS, ...limits }
    this.#client = connectS3(settings, this.#limits)
  }

  async head(place: ObjectPlace, versionId?: string): Promise<ObjectVersion> {
    const request = new HeadObjectCommand(at(place, versionId))
    const head = await this.#client.send(request).catch(explain(place, versionId))
    const encoding = storedEncoding(head.ContentEncoding)
    // Nothing could be held on to.
    if (!head.ETag) throw new StoreFault(addressOf(place), 'the store tells no ETag of it', false)
    return {
      etag: unquoted(head.ETag),
      size: head.ContentLength ?? 0,
      metadata: head.Metadata ?? {},
      ...(head.VersionId !== undefined && { versionId: head.VersionId }),
      ...(head.ContentType !== undefined && { contentType: head.ContentType }),
      ...(encoding !== undefined && { contentEncoding: encoding }),
    }
  }

  async *read(
    place: ObjectPlace,
    version: PinnedVersion,
    { signal, from = 0 }: { signal?: AbortSignal | undefined; from?: number } = {},
  ): AsyncGenerator<Buffer> {
    const { tries, pauseMs } = this.#limits
    const { size } = version
    for (let position = from, failures = 0; position < size;) {
      signal?.throwIfAborted()
      try {
        const body = await this.#get(place, version, position, signal)
        for await (const piece of body) {
          position += piece.length
          if (position > size) throw new StoreFault(addressOf(place), `it has more than its ${size} bytes`, false)
          failures = 0
          yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
          signal?.throwIfAborted()
        }
        if (position < size) {
          throw new StoreFault(addressOf(place), `the store ended it after ${position} of ${size} bytes`, true)
        }
      } catch (error) {
        signal?.throwIfAborted() // else the connection that it broke would be what is told
        const fault = faultOf(error, place, version.versionId)
        if (this.#isClosed || !isTransientOfStore(fault) || ++failures === tries) throw fault
        await sleep(pauseMs * failures, undefined, signal && { signal }).catch(() => undefined)
      }
    }
  }

  /** The object from a byte on, once it is sure that it is this version's. */
  async #get(
    place: ObjectPlace,
    { etag, versionId, size }: PinnedVersion,
    from: number,
    signal: AbortSignal | undefined,
  ): Promise<AsyncIterable<Uint8Array>> {
    const pinned = { IfMatch: quoted(etag), Range: `bytes=${from}-` }
    const request = new GetObjectCommand({ ...at(place, versionId), ...pinned })
    const answered = this.#client.send(request, signal && { abortSignal: signal })
    const answer = await unlessAborted(answered, signal).catch(explain(place, versionId))
    const wrong = misfit(answer, { etag, size }, from)
    if (wrong === undefined) return answer.Body as AsyncIterable<Uint8Array>
    ;(answer.Body as { destroy?: () => void } | undefined)?.destroy?.()
    throw wrong === 'version' ? new ObjectChanged(place) : new StoreFault(addressOf(place), wrong, false)
  }

  async *list(
    bucket: string,
    prefix: string,
    { startAfter, signal }: { startAfter?: string | undefined; signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<ListedObject> {
    const place = { bucket, key: prefix }
    for (let token: string | undefined, isFirst = true; isFirst || token !== undefined; isFirst = false) {
      const page = { Bucket: bucket, Prefix: prefix, StartAfter: startAfter, ContinuationToken: token }
      const answered = this.#client.send(new ListObjectsV2Command(page), signal && { abortSignal: signal })
      const listed = await unlessAborted(answered, signal).catch((error: unknown) => {
        signal?.throwIfAborted()
        return explain(place)(error)
      })
      for (const { Key: key, ETag: etag, Size: size } of listed.Contents ?? []) {
        signal?.throwIfAborted()
        if (key !== undefined) yield { key, etag: unquoted(etag), size: size ?? 0 }
      }
      token = listed.IsTruncated ? listed.NextContinuationToken : undefined
    }
  }

  async tag(
    place: ObjectPlace,
    tags: Readonly<Record<string, string>>,
    versionId?: string,
    signal?: AbortSignal,
  ): Promise<void> {
    const present = await this.tags(place, versionId)
    if (Object.entries(tags).every(([key, value]) => present[key] === value)) return
    const TagSet = Object.entries({ ...present, ...tags }).map(([Key, Value]) => ({ Key, Value }))
    const request = new PutObjectTaggingCommand({ ...at(place, versionId), Tagging: { TagSet } })
    signal?.throwIfAborted()
    await this.#client.send(request, signal && { abortSignal: signal }).catch(explain(place, versionId))
  }

  async tags(place: ObjectPlace, versionId?: string): Promise<Record<string, string>> {
    const request = new GetObjectTaggingCommand(at(place, versionId))
    const { TagSet: tags = [] } = await this.#client.send(request).catch(explain(place, versionId))
    return Object.fromEntries(tags.map(({ Key: key = '', Value: value = '' }) => [key, value]))
  }

  async put(
    place: ObjectPlace,
    body: AsyncIterable<Uint8Array> | Uint8Array,
    { contentType, size }: { contentType: string; size?: number | undefined },
  ): Promise<{ etag: string }> {
    let total = 0
    let upload: Upload | undefined
    try {
      for await (const { bytes, isLast } of partsOf(body, partBytesFor(size))) {
        total += bytes.length
        if (size !== undefined && (total > size || (isLast && total < size))) {
          throw new Error(`${addressOf(place)} is not of ${size} bytes, as was said`)
        }
        if (isLast && upload === undefined) return await this.#putWhole(place, bytes, contentType)
        upload ??= await this.#begin(place, contentType)
        await upload.add(bytes)
      }
      return await upload!.complete() // there is a last part always
    } catch (error) {
      await upload?.abort()
      throw error
    }
  }

  async #putWhole(place: ObjectPlace, bytes: Uint8Array, contentType: string): Promise<{ etag: string }> {
    const request = new PutObjectCommand({ ...at(place), Body: bytes, ContentType: contentType })
    const { ETag: etag } = await this.#client.send(request).catch(explain(place))
    return { etag: unquoted(etag) }
  }

  async #begin(place: ObjectPlace, contentType: string): Promise<Upload> {
    const client = this.#client
    const begin = new CreateMultipartUploadCommand({ ...at(place), ContentType: contentType })
    const { UploadId: id } = await client.send(begin).catch(explain(place))
    const upload = { ...at(place), UploadId: id }
    const parts: { PartNumber: number; ETag: string | undefined }[] = []
    return {
      async add(bytes) {
        const part = { PartNumber: parts.length + 1, Body: bytes }
        const { ETag } = await client.send(new UploadPartCommand({ ...upload, ...part })).catch(explain(place))
        parts.push({ PartNumber: part.PartNumber, ETag })
      },
      async complete() {
        const request = new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: parts } })
        const { ETag: etag } = await client.send(request).catch(explain(place))
        return { etag: unquoted(etag) }
      },
      async abort() {
        // Of what is left behind if this fails, too, the bucket's own rule for unfinished uploads takes care.
        await client.send(new AbortMultipartUploadCommand(upload)).catch(() => undefined)
      },
    }
  }

  async remove(place: ObjectPlace): Promise<void> {
    const gone = (error: unknown): void => {
      if ((error as Error).name !== 'NoSuchKey') explain(place)(error)
    }
    await this.#client.send(new DeleteObjectCommand(at(place))).catch(gone)
  }

  close(): void {
    this.#isClosed = true
    this.#client.destroy()
  }
}

/** An object that comes to be of parts. */
interface Upload {
  add(bytes: Uint8Array): Promise<void>
  complete(): Promise<{ etag: string }>
  abort(): Promise<void>
}

const at = ({ bucket, key }: ObjectPlace, versionId?: string): { Bucket: string; Key: string; VersionId?: string } => ({
  Bucket: bucket,
  Key: key,
  ...(versionId !== undefined && { VersionId: versionId }),
})

/** Why an answer is not the rest of this version: there are stores, and proxies before them, that pass over a condition. */
function misfit(answer: GetObjectCommandOutput, { etag, size }: PinnedVersion, from: number): string | undefined {
  if (answer.ETag !== undefined && unquoted(answer.ETag) !== etag) return 'version'
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(answer.ContentRange ?? '') ?? []
  if (total !== undefined && Number(total) !== size) return 'version'
  const isRange = answer.$metadata.httpStatusCode === 206
  if (isRange ? start !== undefined && Number(start) !== from : from > 0) return 'the store gives no ranges'
  return undefined
}

/** `aws-chunked` is of the request that brought the object, and some stores keep it. */
function storedEncoding(encoding = ''): string | undefined {
  const codings = encoding.split(',').map((coding) => coding.trim())
  return codings.filter((coding) => coding !== '' && coding !== 'aws-chunked').join(', ') || undefined
}

const unquoted = (etag = ''): string => /^"(.*)"$/.exec(etag)?.[1] ?? etag
const quoted = (etag: string): string => (/^(W\/)?"/.test(etag) ? etag : `"${etag}"`)
