import { type BatchHeaders } from '@rates/core/wire'
import { type LedgerBatch } from '@rates/service/ledger/open'
import type pg from 'pg'
import { type IncomingChunk } from './incoming.ts'

/**
 * What a record is to a batch that the ledger knows already (design rules 2 and 8):
 * `new`: a chunk that is not stored; `same`: stored, from the very record; `repeat`: stored, sent once more by its
 * sender; `late`: the batch has ended without it; `conflict`: it says something else than the ledger under the same id.
 */
export type Relation = { kind: 'new' | 'same' | 'repeat' | 'late' } | { kind: 'conflict'; detail: string }

interface Known {
  total: number | null
  highest: number | null
  sha256: Buffer | null
  same: boolean | null
}

const KNOWN = `
select (select max(total) from batch_chunks where batch_no = $1) as total,
  (select max(chunk) from batch_chunks where batch_no = $1) as highest,
  c.sha256, (c.topic, c.partition, c.record_offset) = ($3, $4, $5) as same
from (select) one left join batch_chunks c on c.batch_no = $1 and c.chunk = $2`

export async function relate(
  db: Pick<pg.Pool, 'query'>,
  batch: LedgerBatch,
  incoming: Pick<IncomingChunk, 'batch' | 'chunk' | 'total' | 'sha256'>,
  place: { topic: string; partition: number; offset: bigint },
): Promise<Relation> {
  const { rows } = await db.query<Known>({
    name: 'relate-chunk',
    text: KNOWN,
    values: [batch.no, incoming.chunk, place.topic, place.partition, place.offset],
  })
  const known = rows[0]!
  // A cancellation names the batch alone: before the first chunk nobody knows the batch's headers.
  if (batch.state === 'cancelled' && known.highest === null) return { kind: 'late' }
  const header = differentHeader(batch, incoming.batch)
  if (header) return { kind: 'conflict', detail: header }
  const total = known.total ?? batch.chunksExpected
  if (incoming.total !== undefined && total !== null && incoming.total !== total) {
    return { kind: 'conflict', detail: `it says ${incoming.total} chunks; the batch has ${total}` }
  }
  if (total !== null && incoming.chunk >= total) {
    return { kind: 'conflict', detail: `it is chunk ${incoming.chunk}; the batch has ${total} chunks` }
  }
  if (incoming.total !== undefined && known.highest !== null && known.highest >= incoming.total) {
    return { kind: 'conflict', detail: `it says ${incoming.total} chunks; chunk ${known.highest} came before` }
  }
  if (known.sha256 !== null && !known.sha256.equals(incoming.sha256)) {
    const [stored, sent] = [known.sha256.toString('hex'), incoming.sha256.toString('hex')]
    return { kind: 'conflict', detail: `chunk ${incoming.chunk} has sha256 ${sent}; the batch has one with ${stored}` }
  }
  if (known.sha256 !== null) return { kind: known.same ? 'same' : 'repeat' }
  return { kind: batch.state === 'open' ? 'new' : 'late' }
}

/** The headers of the batch are a part of its identity, but for the trace: a sender's retry has a new one. */
function differentHeader(batch: LedgerBatch, sent: BatchHeaders): string | undefined {
  const time = (value: string | Date | null | undefined): number | null => (value ? new Date(value).getTime() : null)
  const pairs: [string, unknown, unknown][] = [
    ['source', sent.source ?? null, batch.source],
    ['replaces', sent.replaces ?? null, batch.replaces],
    ['retry-of', sent.retryOf ?? null, batch.retryOf],
    ['deadline', time(sent.deadline), time(batch.deadline)],
    ['on-deadline', sent.onDeadline ?? 'fail', batch.onDeadline],
    ['reply-to', sent.replyTo ?? null, batch.replyTo],
    ['correlation-id', sent.correlationId ?? null, batch.correlationId],
  ]
  const different = pairs.find(([, ours, theirs]) => ours !== theirs)
  if (!different) return undefined
  const [name, ours, theirs] = different
  return `its header ${name} is ${JSON.stringify(ours)}; the batch has ${JSON.stringify(theirs)}`
}
