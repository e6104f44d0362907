import { type BodyFormat } from '@rates/core/chunk-cutter'
import { readEnvelope, type BatchHeaders, type Envelope } from '@rates/core/wire'
import { z } from 'zod'
import { Problem } from './problem.ts'
import { readParameters } from './route.ts'
import { ENCODINGS, type Encoding } from './upload-body.ts'

const header = (description: string): z.ZodOptional<z.ZodString> => z.string().optional().meta({ description })

/** What a sender says of its batch. As headers; each may stand in the query instead, by the names of batchQuery. */
export const batchHeaders = z.object({
  source: header('Who sends it.'),
  deadline: header('RFC 3339, UTC: when it must be visible.'),
  'on-deadline': header('`fail` (the default) or `flag`. Also `?onDeadline=`.'),
  replaces: header('The id of the batch that this one takes the place of.'),
  'dry-run': header('`true`: check it and publish nothing. Also `?dryRun=`.'),
  'correlation-id': header('Comes back in the reply. Also `?correlationId=`.'),
  'reply-to': header('The topic of the reply, one of those that are allowed. Also `?replyTo=`.'),
})

const QUERY_NAMES: Readonly<Record<string, string>> = {
  id: 'batch-id',
  source: 'source',
  deadline: 'deadline',
  onDeadline: 'on-deadline',
  replaces: 'replaces',
  dryRun: 'dry-run',
  correlationId: 'correlation-id',
  replyTo: 'reply-to',
}
export const uploadQuery = z.object(
  Object.fromEntries(Object.keys(QUERY_NAMES).map((name) => [name, z.string().optional()])),
)
export const batchQuery = uploadQuery.omit({ id: true })

/** Parameters of the query by the names of their headers. */
export function fromQuery(query: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(readParameters(uploadQuery, query)).map(([name, value]) => [QUERY_NAMES[name]!, value as string]),
  )
}

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/

/** By the rules of the wire: what stands here will stand in the headers of records. @throws Problem 400 */
export function readWire(given: Record<string, string | undefined>): Exclude<Envelope, { kind: 'fault' }> {
  const wire = new Map<string, string>()
  for (const [name, value] of Object.entries(given)) if (value !== undefined) wire.set(name, value)
  const envelope = readEnvelope(wire)
  if (envelope.kind !== 'fault') return envelope
  const { header, value, rule } = envelope
  throw new Problem(400, `${header}: ${JSON.stringify(value)} is not ${rule}`)
}

/** The headers of a batch, whose id is among what was given. @throws Problem 400 */
export function readBatchHeaders(
  given: Record<string, string | undefined> & { 'batch-id': string },
  traceparent: unknown,
  replyTopics: readonly string[],
): BatchHeaders {
  const envelope = readWire(given)
  if (envelope.kind !== 'whole') throw new Error('headers of a batch, and none of a chunk')
  const { batchId, replyTo } = envelope.batch
  if (batchId === undefined) throw new Error('a batch without an id')
  if (replyTo !== undefined && !replyTopics.includes(replyTo)) {
    throw new Problem(400, `reply-to: ${JSON.stringify(replyTo)} is not a topic that replies may go to`)
  }
  // A trace that cannot be read is started anew by whoever reads it; it refuses no batch.
  const traced = typeof traceparent === 'string' && TRACEPARENT.test(traceparent) ? { traceparent } : {}
  return { ...envelope.batch, ...traced, batchId }
}

/** @throws Problem 415 */
export function formatOf(contentType = ''): BodyFormat {
  const type = contentType.split(';')[0]!.trim().toLowerCase()
  if (type === 'text/csv') return 'csv'
  if (type === 'application/x-ndjson') return 'ndjson'
  throw new Problem(415, 'The content is to be text/csv or application/x-ndjson.')
}

/** @throws Problem 415 */
export function encodingOf(contentEncoding = 'identity'): Encoding {
  const found = ENCODINGS.find((encoding) => encoding === contentEncoding.trim().toLowerCase())
  if (found === undefined) throw new Problem(415, `The content's encoding is to be one of ${ENCODINGS.join(', ')}.`)
  return found
}
