import { parseCsv } from '@rates/core/csv'
import { MAX_CHUNK_ROWS, MAX_CHUNK_WIRE_BYTES } from '@rates/core/limits'
import { parseNdjson, parsePrices } from '@rates/core/ndjson'
import { BadObjectClaim, readObjectClaim, type ObjectClaim } from '@rates/core/object-claim'
import { type PortTable } from '@rates/core/port-table'
import { TooManyRows, type RowBuffer } from '@rates/core/row-buffer'
import { idByPlace, readEnvelope, type BatchHeaders, type ContentType } from '@rates/core/wire'
import { BadEncoding, decompress, sha256 } from '@rates/service/compression'
import { type IncomingRecord } from '@rates/service/kafka'
import { UNREADABLE } from '@rates/service/record-batch-guard'
import { type RequestHeaders } from './object-metadata.ts'

/** A record that is a part of a batch, or a whole one, with its body ready to be parsed. */
export interface IncomingChunk {
  kind: 'chunk'
  batch: BatchHeaders
  chunk: number
  total: number | undefined
  /** How much of the batch its sender had sent with this chunk, up to 1; where it does not know the total. */
  progress?: number | undefined
  /** As the sender counted. */
  rows: number | undefined
  sha256: Buffer
  /** Bytes as sent. */
  bytes: number
  /** Parses into `rows`. @throws TooManyRows */
  parse: (rows: RowBuffer, ports: PortTable) => void
}

/** A control record: ends a batch that is open, or asks for one that succeeded to be hidden. */
export type Control = { kind: 'cancel'; batch: BatchHeaders } | { kind: 'revert'; batch: BatchHeaders }

/** A file of an object store that is to become a batch. */
export interface IncomingObject {
  kind: 'object'
  headers: RequestHeaders
  claim: ObjectClaim
}

/** A whole batch that is addressed to us and cannot be read: it fails, as any other. Kept as a chunk without rows. */
export interface UnreadableBatch {
  kind: 'unreadable'
  batch: BatchHeaders
  chunk: 0
  total: 1
  sha256: Buffer
  bytes: number
  message: string
}

export const DEAD_LETTER_REASONS = [
  'bad_header',
  'empty',
  'too_large',
  'checksum_mismatch',
  'bad_encoding',
  'too_many_rows',
  'rows_mismatch',
  'not_a_batch',
  'not_an_event', // of an object store
  'id_conflict', // told by the ledger, not by the record itself
] as const

/** A record that is no part of a batch: it goes to the dead letters. */
export interface DeadLetter {
  kind: 'dead-letter'
  reason: (typeof DEAD_LETTER_REASONS)[number]
  detail: string
  batchId: string | undefined
  replyTo: string | undefined
}

/**
 * Reads a record as far as it says by itself what it is; never throws. The rules are those of docs/wire.md.
 */
export async function readRecord(
  record: IncomingRecord,
): Promise<IncomingChunk | Control | IncomingObject | UnreadableBatch | DeadLetter> {
  const unreadable = record.headers.get(UNREADABLE)
  if (unreadable !== undefined) {
    const detail = `the record batch: ${unreadable}`
    return { kind: 'dead-letter', reason: 'bad_encoding', detail, batchId: undefined, replyTo: undefined }
  }
  const envelope = readEnvelope(record.headers)
  if (envelope.kind === 'cancel' || envelope.kind === 'revert') return envelope
  if (envelope.kind === 'fault') {
    const { header, value, rule, batchId, replyTo } = envelope
    return {
      kind: 'dead-letter',
      reason: 'bad_header',
      detail: `header ${header}: ${JSON.stringify(value)} is not ${rule}`,
      batchId,
      replyTo,
    }
  }
  if (envelope.kind === 'object') return readObject(record, envelope.batch)
  const { batchId, replyTo } = envelope.batch
  const dead = (reason: DeadLetter['reason'], detail: string): DeadLetter => ({
    kind: 'dead-letter',
    reason,
    detail,
    batchId,
    replyTo,
  })
  const { value } = record
  if (value === null || value.length === 0) return dead('empty', 'the record has no value')
  if (value.length > MAX_CHUNK_WIRE_BYTES) {
    return dead('too_large', `${value.length} bytes; a record may have ${MAX_CHUNK_WIRE_BYTES}`)
  }
  const digest = sha256(value)
  if (envelope.sha256 !== undefined && envelope.sha256 !== digest.toString('hex')) {
    return dead(
      'checksum_mismatch',
      `the header says sha256 ${envelope.sha256}, the body has ${digest.toString('hex')}`,
    )
  }
  let body: Uint8Array
  try {
    body = await decompress(value, envelope.contentEncoding)
  } catch (error) {
    if (error instanceof BadEncoding) return dead('bad_encoding', error.message)
    throw error
  }
  const common = { kind: 'chunk', rows: envelope.rows, sha256: digest, bytes: value.length } as const
  if (envelope.kind === 'chunk') {
    const parse = parserOf(envelope.contentType, body)
    const { batch, chunk, chunks: total, progress } = envelope
    return { ...common, batch, chunk, total, progress, parse }
  }
  const batch = { ...envelope.batch, batchId: batchId ?? idByPlace(record) }
  const read = readWhole(envelope.contentType, body)
  if (typeof read === 'string') {
    return envelope.addressed
      ? { kind: 'unreadable', batch, chunk: 0, total: 1, sha256: digest, bytes: value.length, message: read }
      : dead('not_a_batch', read)
  }
  return { ...common, batch, chunk: 0, total: 1, parse: read }
}

/** Its content type says that it is for us: a claim that cannot be read fails its batch. */
function readObject(record: IncomingRecord, headers: RequestHeaders): IncomingObject | UnreadableBatch {
  try {
    return { kind: 'object', headers, claim: readObjectClaim(record.value) }
  } catch (error) {
    if (!(error instanceof BadObjectClaim)) throw error
    const batch = { ...headers, batchId: headers.batchId ?? idByPlace(record) }
    const value = record.value ?? new Uint8Array()
    const message = `its claim: ${error.message}`
    return { kind: 'unreadable', batch, chunk: 0, total: 1, sha256: sha256(value), bytes: value.length, message }
  }
}

function parserOf(
  contentType: 'text/csv' | 'application/x-ndjson' | ContentType,
  body: Uint8Array,
): IncomingChunk['parse'] {
  return contentType === 'text/csv'
    ? (rows, ports) => parseCsv(body, ports, rows)
    : (rows, ports) => parseNdjson(body, ports, rows)
}

/** How to parse a whole batch, by its content type or else by its first bytes; or why it cannot be read. */
function readWhole(contentType: ContentType | undefined, body: Uint8Array): IncomingChunk['parse'] | string {
  const first = body.find((byte) => byte > 0x20 && byte < 0x80)
  if (contentType === 'text/csv' || contentType === 'application/x-ndjson') return parserOf(contentType, body)
  if (contentType === undefined && first !== 0x7b) {
    const line = new TextDecoder().decode(body.subarray(0, 1000)).split(/\r?\n/, 1)[0]!
    return line.replaceAll(/"[^"]*"/g, '').split(',').length === 4 // a comma in quotes parts nothing
      ? parserOf('text/csv', body)
      : `it is neither JSON nor CSV of four columns: ${JSON.stringify(line.slice(0, 60))}`
  }
  if (jsonMarks(body) > MAX_JSON_MARKS) return `it has more JSON than ${MAX_CHUNK_ROWS} prices take`
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder().decode(body))
  } catch (error) {
    // Several objects, one a line?
    const firstLine = new TextDecoder().decode(body.subarray(0, Math.max(0, body.indexOf(0x0a))))
    if (contentType === undefined && isPrice(firstLine)) return parserOf('application/x-ndjson', body)
    return `it is no JSON: ${(error as Error).message}`
  }
  if (typeof json === 'object' && json !== null) {
    const { prices } = json as { prices?: unknown }
    if (Array.isArray(prices)) {
      if (prices.length === 0) return 'its "prices" are empty'
      if (prices.length > MAX_CHUNK_ROWS) return `it has ${prices.length} prices; a record may have ${MAX_CHUNK_ROWS}`
      return (rows, ports) => parsePrices(prices, ports, rows)
    }
    if (contentType === undefined && 'orig_code' in json) return parserOf('application/x-ndjson', body)
  }
  return 'it is JSON, but no {"prices": […]}'
}

/** A price has nine of { [ : and the comma, and something may stand beside the prices. */
const MAX_JSON_MARKS = MAX_CHUNK_ROWS * 9 + 10_000

/** 8 MB of "[],[],…" would become 200 MB of objects: they are counted before they are made. */
function jsonMarks(body: Uint8Array): number {
  let marks = 0
  for (const byte of body) if (byte === 0x2c || byte === 0x3a || byte === 0x5b || byte === 0x7b) marks++
  return marks
}

function isPrice(line: string): boolean {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && 'orig_code' in value
  } catch {
    return false
  }
}

/** Parses a chunk; what is wrong with the chunk as a whole comes back as a dead letter. */
export function parseChunk(incoming: IncomingChunk, rows: RowBuffer, ports: PortTable): DeadLetter | undefined {
  const { batchId, replyTo } = incoming.batch
  rows.reset()
  try {
    incoming.parse(rows, ports)
  } catch (error) {
    if (!(error instanceof TooManyRows)) throw error
    return { kind: 'dead-letter', reason: 'too_many_rows', detail: error.message, batchId, replyTo }
  }
  if (incoming.rows !== undefined && incoming.rows !== rows.rows) {
    const detail = `the header says ${incoming.rows} rows, the body has ${rows.rows}`
    return { kind: 'dead-letter', reason: 'rows_mismatch', detail, batchId, replyTo }
  }
  return undefined
}
