import { DigestSum, digestHex } from '@rates/core/digest'
import { type StoredSum } from './pack-sums.ts'

/** A batch as the ledger has it. */
export interface VerifiedBatch {
  no: number
  id: string
  dryRun: boolean
  state: 'open' | 'succeeded' | 'failed' | 'cancelled' | 'reverted' | 'replaced'
  chunksExpected: number | null
  rowsAccepted: number | null
  rowsRejected: number | null
  /** 32 hexadecimal digits. */
  digest: string | null
  purged: boolean
  trimmed: boolean
  hidden: boolean
}

/** Its chunks, added up. */
export class ChunkSum {
  readonly digest = new DigestSum()
  chunks = 0
  accepted = 0
  rejected = 0
}

/**
 * What can be said of a batch: `proven`: what is stored is what was accepted; `unproven`: the retention of prices has
 * removed a part of it, so that nobody can tell; `hidden`: it did not succeed, and what was loaded of it is hidden until
 * it is purged; `gone`: nothing of it is stored, as it has to be; `open`: it has not ended, and is hidden.
 */
export type Verdict = 'proven' | 'unproven' | 'hidden' | 'gone' | 'open'

export type BatchFault =
  'rows' | 'digest' | 'ledger' | 'not_hidden' | 'hidden' | 'not_purged' | 'dry_run_stored' | 'merged_hidden'

const ended = { succeeded: true, reverted: true, replaced: true, open: false, failed: false, cancelled: false }

/** Compares what is stored of a batch with its ledger; every fault is told. */
export function judgeBatch(
  batch: VerifiedBatch,
  stored: StoredSum | undefined,
  chunks: ChunkSum,
  onFault: (kind: BatchFault, message: string) => void,
): Verdict {
  const rows = stored?.rows ?? 0
  const state = batch.purged ? `${batch.state} and purged` : batch.state
  if (batch.purged || batch.dryRun) {
    if (rows > 0 && batch.purged) onFault('not_purged', `it is ${state}, and has ${rows} rows in ${inPacks(stored!)}`)
    else if (rows > 0) onFault('dry_run_stored', `it is a dry run, and has ${rows} rows in ${inPacks(stored!)}`)
    if (batch.hidden && batch.purged) onFault('hidden', `it is ${state}, and still among the hidden batches`)
    if (!batch.purged) checkLedger(batch, chunks, onFault)
    return batch.state === 'open' ? 'open' : 'gone'
  }
  const visible = batch.state === 'succeeded'
  if (visible && batch.hidden)
    onFault('hidden', 'it is succeeded, and readers do not see it: it is among the hidden batches')
  if (!visible && !batch.hidden && rows > 0) {
    onFault('not_hidden', `it is ${state}, and readers see its ${rows} rows: it is not among the hidden batches`)
  }
  if (!visible && stored && stored.merged > 0) {
    onFault('merged_hidden', `it is ${state}, and readers see what ${stored.merged} merged packs hold of it`)
  }
  checkLedger(batch, chunks, onFault)
  if (ended[batch.state]) {
    if (batch.trimmed) {
      if (rows > batch.rowsAccepted!) onFault('rows', `${rows} rows are stored, ${batch.rowsAccepted} were accepted`)
      return 'unproven'
    }
    compare(stored, { rows: batch.rowsAccepted, digest: batch.digest, what: 'accepted' }, onFault)
    return 'proven'
  }
  if (chunks.rejected > 0 || batch.state !== 'open') {
    // Chunks behind one with bad rows are only checked; and packs of what has failed may be gone at any time.
    if (rows > chunks.accepted) onFault('rows', `${rows} rows are stored, its chunks had ${chunks.accepted}`)
  } else {
    const digest = digestHex(chunks.digest.bytes())
    compare(stored, { rows: chunks.accepted, digest, what: 'in its chunks' }, onFault)
  }
  return batch.state === 'open' ? 'open' : rows > 0 ? 'hidden' : 'gone'
}

function compare(
  stored: StoredSum | undefined,
  wanted: { rows: number | null; digest: string | null; what: string },
  onFault: (kind: BatchFault, message: string) => void,
): void {
  const rows = stored?.rows ?? 0
  const digest = digestHex((stored?.digest ?? new DigestSum()).bytes())
  if (rows !== wanted.rows) onFault('rows', `${rows} rows are stored, ${wanted.rows} were ${wanted.what}`)
  if (digest !== wanted.digest) {
    onFault('digest', `what is stored has the digest ${digest}, what was ${wanted.what} has ${wanted.digest}`)
  }
}

/** The outcome has to be what the chunks add up to. */
function checkLedger(
  batch: VerifiedBatch,
  chunks: ChunkSum,
  onFault: (kind: BatchFault, message: string) => void,
): void {
  if (!ended[batch.state]) return
  const digest = digestHex(chunks.digest.bytes())
  const pairs: [string, unknown, unknown][] = [
    ['chunks', batch.chunksExpected, chunks.chunks],
    ['accepted rows', batch.rowsAccepted, chunks.accepted],
    ['rejected rows', batch.rowsRejected, chunks.rejected],
    ['digest', batch.digest, digest],
  ]
  for (const [what, said, sum] of pairs) {
    if (said !== sum) onFault('ledger', `its outcome says ${what} ${String(said)}, its chunks add up to ${String(sum)}`)
  }
  if (batch.rowsRejected !== 0) onFault('ledger', `it is ${batch.state} with ${batch.rowsRejected} rejected rows`)
}

const inPacks = ({ packs, merged }: StoredSum): string =>
  `${packs} packs of its own${merged > 0 ? ` and ${merged} merged ones` : ''}`
