import { OBJECT_TYPE, readEnvelope, type BatchHeaders } from '@rates/core/wire'

/** A batch's headers where its id may not be known yet. */
export type RequestHeaders = Omit<BatchHeaders, 'batchId'> & { batchId?: string | undefined }

/** Of user metadata: `x-amz-meta-rates-source` is the header `source`. */
const PREFIX = 'rates-'
const HEADERS = [
  'batch-id',
  'source',
  'replaces',
  'deadline',
  'on-deadline',
  'reply-to',
  'correlation-id',
  'dry-run',
  'traceparent',
] as const

/**
 * What an object that no claim asks for says of its batch, by the rules of a record's headers. Where one breaks its rule
 * `fault` tells it, and of the headers there is what says where the answer goes.
 */
export function readObjectMetadata(metadata: Readonly<Record<string, string>>): {
  headers: RequestHeaders
  fault: string | undefined
} {
  const given = new Map<string, string>([['content-type', OBJECT_TYPE]])
  for (const name of HEADERS) {
    const value = metadata[PREFIX + name]
    if (value !== undefined) given.set(name, value)
  }
  const envelope = readEnvelope(given)
  if (envelope.kind === 'object') return { headers: envelope.batch, fault: undefined }
  if (envelope.kind !== 'fault') throw new Error(`metadata were read as a ${envelope.kind}`)
  const { header, value, rule, batchId, replyTo } = envelope
  const fault = `its metadata ${PREFIX}${header}: ${JSON.stringify(value)} is not ${rule}`
  return { headers: { batchId, replyTo }, fault }
}
