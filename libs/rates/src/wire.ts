import { MAX_CHUNK_ROWS, MAX_CHUNKS } from './limits.ts'

/**
 * The wire: what a record of the two batch topics says in its headers. docs/wire.md is the same for people.
 * Header names are the lower-case words of this file; values are UTF-8 text.
 */

export type ContentType = 'text/csv' | 'application/x-ndjson' | 'application/json'
/** Of a record that names an object which is to become a batch (object-claim.ts). */
export const OBJECT_TYPE = 'application/vnd.rates.object+json'

export type ContentEncoding = 'identity' | 'gzip' | 'zstd'

/** What the sender says of a batch: the same on each of its records. */
export interface BatchHeaders {
  batchId: string
  source?: string | undefined
  replaces?: string | undefined
  /** The batch whose records this one has again. */
  retryOf?: string | undefined
  /** RFC 3339, UTC. */
  deadline?: string | undefined
  onDeadline?: 'fail' | 'flag' | undefined
  replyTo?: string | undefined
  correlationId?: string | undefined
  dryRun?: boolean | undefined
  traceparent?: string | undefined
}

export interface ChunkHeaders {
  batch: BatchHeaders
  chunk: number
  chunks: number | undefined
  /** How much of the batch is sent with this chunk and those before it, above 0 and up to 1: an estimate. */
  progress?: number | undefined
  rows: number | undefined
  /** Lower-case hex. */
  sha256: string | undefined
  contentType: ContentType
  contentEncoding: ContentEncoding
}

export type Envelope =
  | ({ kind: 'chunk' } & ChunkHeaders)
  /** A record that is a whole batch; without `batch-id` the receiver names it after its place in the topic. */
  | {
      kind: 'whole'
      batch: Omit<BatchHeaders, 'batchId'> & { batchId: string | undefined }
      rows: number | undefined
      sha256: string | undefined
      contentType: ContentType | undefined
      contentEncoding: ContentEncoding
      /** Says that it is for us: without it a body that cannot be read is nobody's batch. */
      addressed: boolean
    }
  /** A record that names a file of an object store, which is a whole batch. */
  | { kind: 'object'; batch: Omit<BatchHeaders, 'batchId'> & { batchId: string | undefined } }
  /** Ends a batch that is not finished, also before its first chunk; its headers are the batch's. */
  | { kind: 'cancel'; batch: BatchHeaders }
  /** Asks for a batch that succeeded to be hidden; its headers are those of the request. */
  | { kind: 'revert'; batch: BatchHeaders }
  /** `batchId` and `replyTo` are there if they could be read, so that the sender can be told. */
  | {
      kind: 'fault'
      header: string
      value: string
      rule: string
      batchId: string | undefined
      replyTo: string | undefined
    }

export const BATCH_ID = /^[A-Za-z0-9._:-]{1,128}$/

/** The id of a batch whose one record names none: by the record's place and time. */
export const idByPlace = (place: { topic: string; partition: number; offset: bigint; timestamp: number }): string =>
  `${place.topic}-${place.partition}-${place.offset}-${place.timestamp}`.slice(-128)

const SHA256 = /^[0-9a-f]{64}$/i
const TOPIC = /^[A-Za-z0-9._-]{1,249}$/
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/
const PART = /^(0\.\d{1,9}|1(\.0{1,9})?)$/
const DEADLINE = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$/
const PRINTABLE = /^[^\u0000-\u001f\u007f\p{Surrogate}]{1,200}$/u

class Fault extends Error {
  readonly header: string
  readonly value: string
  readonly rule: string
  constructor(header: string, value: string, rule: string) {
    super(rule)
    this.header = header
    this.value = value
    this.rule = rule
  }
}

/** Reads a record's headers. Never throws: what is wrong is a `fault` that names header, value and rule. */
export function readEnvelope(headers: ReadonlyMap<string, string>): Envelope {
  const text = (name: string, pattern: RegExp, rule: string): string | undefined => {
    const value = headers.get(name)
    if (value === undefined) return undefined
    if (!pattern.test(value)) throw new Fault(name, value, rule)
    return value
  }
  const count = (name: string, min: number, max: number): number | undefined => {
    const value = text(name, /^\d{1,9}$/, `a whole number from ${min} to ${max}`)
    if (value === undefined) return undefined
    const number = Number(value)
    if (number < min || number > max) throw new Fault(name, value, `a whole number from ${min} to ${max}`)
    return number
  }
  const oneOf = <T extends string>(name: string, allowed: readonly T[]): T | undefined => {
    const value = headers.get(name)
    if (value === undefined) return undefined
    const found = allowed.find((each) => each === value)
    if (found === undefined) throw new Fault(name, value, `one of ${allowed.join(', ')}`)
    return found
  }
  try {
    const batchId = text('batch-id', BATCH_ID, '1 to 128 of A-Z a-z 0-9 . _ : -')
    const control = oneOf('control', ['cancel', 'revert'] as const)
    if (control !== undefined && batchId === undefined) throw new Fault('batch-id', '', 'control needs it')
    const deadline = text('deadline', DEADLINE, 'a time of RFC 3339 in UTC, as 2026-11-21T08:00:00Z')
    if (deadline !== undefined && Number.isNaN(Date.parse(deadline))) {
      throw new Fault('deadline', deadline, 'a time of RFC 3339 in UTC, as 2026-11-21T08:00:00Z')
    }
    const printable = 'up to 200 characters, none of them a control character'
    const batch = {
      batchId,
      source: text('source', PRINTABLE, printable),
      replaces: text('replaces', BATCH_ID, 'the id of a batch'),
      retryOf: text('retry-of', BATCH_ID, 'the id of a batch'),
      deadline,
      onDeadline: oneOf('on-deadline', ['fail', 'flag'] as const),
      replyTo: text('reply-to', TOPIC, 'the name of a topic'),
      correlationId: text('correlation-id', PRINTABLE, printable),
      dryRun: oneOf('dry-run', ['true', 'false'] as const) === 'true',
      traceparent: text('traceparent', TRACEPARENT, 'a W3C traceparent'),
    }
    if (control !== undefined && batchId !== undefined) return { kind: control, batch: { ...batch, batchId } }
    if (headers.get('content-type') === OBJECT_TYPE) {
      if (headers.has('chunk')) throw new Fault('content-type', OBJECT_TYPE, 'not for chunks')
      return { kind: 'object', batch }
    }
    const rows = count('rows', 0, MAX_CHUNK_ROWS)
    const sha256 = text('sha256', SHA256, '64 hexadecimal digits')?.toLowerCase()
    const contentType = oneOf('content-type', ['text/csv', 'application/x-ndjson', 'application/json'] as const)
    const contentEncoding = oneOf('content-encoding', ['identity', 'gzip', 'zstd'] as const) ?? 'identity'
    const chunk = count('chunk', 0, MAX_CHUNKS - 1)
    if (chunk === undefined) {
      const addressed = batchId !== undefined || contentType !== undefined || batch.replyTo !== undefined
      return { kind: 'whole', batch, rows, sha256, contentType, contentEncoding, addressed }
    }
    if (batchId === undefined) throw new Fault('batch-id', '', 'a chunk needs it')
    const chunks = count('chunks', 1, MAX_CHUNKS)
    if (chunks !== undefined && chunk >= chunks) throw new Fault('chunk', String(chunk), `less than chunks (${chunks})`)
    const part = text('progress', PART, 'more than 0 and 1 at most, as 0.25')
    const progress = part === undefined ? undefined : Number(part)
    if (progress === 0) throw new Fault('progress', part!, 'more than 0 and 1 at most, as 0.25')
    if (contentType === undefined) throw new Fault('content-type', '', 'a chunk needs it')
    if (contentType === 'application/json') throw new Fault('content-type', contentType, 'not for chunks')
    const content = { rows, sha256, contentType, contentEncoding }
    return { kind: 'chunk', batch: { ...batch, batchId }, chunk, chunks, progress, ...content }
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault
    const id = headers.get('batch-id')
    const { header, value, rule } = fault
    return {
      kind: 'fault',
      header,
      value: value.slice(0, 100),
      rule,
      batchId: id !== undefined && BATCH_ID.test(id) ? id : undefined,
      replyTo: headers.get('reply-to'),
    }
  }
}

/**
 * Those of a record's headers that are right, one at a time, so that a wrong one costs no other: what goes back to a
 * sender whose record is refused. `fault` is the first that is wrong.
 */
export function readHeaders<Name extends string>(
  headers: ReadonlyMap<string, string>,
  names: readonly Name[],
): { right: Partial<Record<Name, string>>; fault: Extract<Envelope, { kind: 'fault' }> | undefined } {
  const right: Partial<Record<Name, string>> = {}
  let fault: Extract<Envelope, { kind: 'fault' }> | undefined
  for (const name of names) {
    const value = headers.get(name)
    if (value === undefined) continue
    const read = readEnvelope(new Map([[name, value]]))
    if (read.kind === 'fault') fault ??= read
    else right[name] = value
  }
  return { right, fault }
}

/** The headers of the batch as a record carries them. */
export function writeBatchHeaders(batch: BatchHeaders): Record<string, string> {
  const headers: Record<string, string> = { 'batch-id': batch.batchId }
  const put = (name: string, value: string | undefined): void => {
    if (value !== undefined) headers[name] = value
  }
  put('source', batch.source)
  put('replaces', batch.replaces)
  put('retry-of', batch.retryOf)
  put('deadline', batch.deadline)
  put('on-deadline', batch.onDeadline)
  put('reply-to', batch.replyTo)
  put('correlation-id', batch.correlationId)
  put('dry-run', batch.dryRun ? 'true' : undefined)
  put('traceparent', batch.traceparent)
  return headers
}

/** The headers of a chunk's record. */
export function writeChunkHeaders(headers: ChunkHeaders): Record<string, string> {
  const record = writeBatchHeaders(headers.batch)
  record['chunk'] = String(headers.chunk)
  if (headers.chunks !== undefined) record['chunks'] = String(headers.chunks)
  if (headers.progress !== undefined) record['progress'] = headers.progress.toFixed(6)
  if (headers.rows !== undefined) record['rows'] = String(headers.rows)
  if (headers.sha256 !== undefined) record['sha256'] = headers.sha256
  record['content-type'] = headers.contentType
  if (headers.contentEncoding !== 'identity') record['content-encoding'] = headers.contentEncoding
  return record
}
