import { type Reply } from '@rates/core/batch'
import { readHeaders } from '@rates/core/wire'
import { type IncomingRecord, type OutgoingRecord, type Producer } from '@rates/service/kafka'
import { batchLinks } from '@rates/service/ledger/finish'

/** The dead letters' topic takes 2 MiB; headers need a part of it. */
const MAX_VALUE_BYTES = 1_900_000
const MAX_HEADERS_BYTES = 64_000

/** The record as it goes to the dead letters: its own headers, and why it is there in `dead-letter-…`. */
export function deadLetter(record: IncomingRecord, reason: string, detail: string, topic: string): OutgoingRecord {
  const headers: Record<string, string> = {}
  let size = 0
  for (const [name, value] of record.headers) {
    size += name.length + value.length
    if (size > MAX_HEADERS_BYTES || name.startsWith('dead-letter-')) continue
    headers[name] = value
  }
  const { value } = record
  const cut = value !== null && value.length > MAX_VALUE_BYTES
  Object.assign(headers, {
    'dead-letter-reason': reason,
    'dead-letter-detail': detail.slice(0, 1_000),
    'dead-letter-topic': record.topic,
    'dead-letter-partition': String(record.partition),
    'dead-letter-offset': String(record.offset),
    'dead-letter-timestamp': new Date(record.timestamp).toISOString(),
    ...(cut && { 'dead-letter-truncated': `true; it had ${value.length} bytes` }),
  })
  return { topic, headers, value: cut ? value.subarray(0, MAX_VALUE_BYTES) : value }
}

export async function sendDeadLetter(
  producer: Producer,
  record: IncomingRecord,
  reason: string,
  detail: string,
  topic: string,
): Promise<void> {
  await producer.send([deadLetter(record, reason, detail, topic)])
}

/**
 * What the sender of such a record is told, if it named a batch. The ledger does not change for it, so the reply has an
 * id of its own, made of the record's place: a redelivery makes the same. Of the record's headers it has those that are
 * right.
 */
export function refusal(
  record: IncomingRecord,
  batchId: string,
  state: 'id_conflict' | 'unreadable',
  code: string,
  message: string,
): Reply {
  const { right } = readHeaders(record.headers, ['correlation-id', 'dry-run', 'source'])
  const about = {
    place: `${record.topic}-${record.partition}-${record.offset}`,
    at: new Date(record.timestamp),
    correlationId: right['correlation-id'] ?? null,
    dryRun: right['dry-run'] === 'true',
    source: right.source ?? null,
  }
  return refusalOf(about, batchId, state, code, message)
}

/** The same, by what is known of the record. */
export function refusalOf(
  about: { place: string; at: Date } & Pick<Reply, 'correlationId' | 'dryRun' | 'source'>,
  batchId: string,
  state: 'id_conflict' | 'unreadable',
  code: string,
  message: string,
): Reply {
  const { place, correlationId, dryRun, source } = about
  const at = about.at.toISOString()
  return {
    replyId: `${batchId}/${state}/${place}`,
    batchId,
    correlationId,
    state,
    dryRun,
    source,
    rows: { accepted: 0, rejected: 0 },
    chunks: null,
    digest: null,
    error: { code, message },
    errors: [],
    links: batchLinks(batchId, false),
    createdAt: at,
    finishedAt: at,
  }
}
