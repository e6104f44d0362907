import { differentHeader } from '@rates/service/ledger/batch-headers'
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
  if (header) {
    const [sent, known] = [JSON.stringify(header.sent), JSON.stringify(header.known)]
    return { kind: 'conflict', detail: `its header ${header.name} is ${sent}; the batch has ${known}` }
  }
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
