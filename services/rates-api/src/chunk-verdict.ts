import { type KnownChunk, type KnownChunks } from './chunk-ledger.ts'
import { Problem } from './problem.ts'

/** A chunk that came, as far as the ledger may contradict it. */
export interface SentChunk {
  chunk: number
  /** The batch's number of chunks, if its sender told. */
  total: number | undefined
  sha256: Buffer
}

/**
 * What becomes of a chunk, by the rules by which workers will take it: `stored`: it is there; `send`. The same chunk with
 * a total that nobody told before is sent once more, for that. @throws Problem 409
 */
export function judgeChunk(known: KnownChunk, sent: SentChunk): 'stored' | 'send' {
  const { batch, total, highest } = known
  if (known.sha256 !== null && !known.sha256.equals(sent.sha256)) {
    const [there, came] = [known.sha256.toString('hex'), sent.sha256.toString('hex')]
    const detail = `Chunk ${sent.chunk} is there with other content: sha256 ${there}; this one has ${came}.`
    throw new Problem(409, detail, { extensions: { code: 'other_content', sha256: there } })
  }
  if (sent.total !== undefined && total !== null && sent.total !== total) throw otherTotal(sent.total, total)
  const news = sent.total !== undefined && total === null && batch.state === 'open'
  if (known.sha256 !== null && !news) return 'stored'
  if (batch.state !== 'open') throw hasEnded(batch)
  if (total !== null && sent.chunk >= total) {
    throw new Problem(409, `The batch has ${total} chunks, so none has the number ${sent.chunk}.`, {
      extensions: { code: 'other_total', total },
    })
  }
  if (sent.total !== undefined && highest !== null && highest >= sent.total) throw tooFew(sent.total, highest)
  return 'send'
}

/**
 * How a batch stands that its sender says has `chunks` chunks: `whole`: all are stored and it is known that these are
 * all; `untold`: all are stored, and no one told the total; `missing`: not all are. @throws Problem 409
 */
export function judgeChunks(known: KnownChunks, chunks: number): 'whole' | 'untold' | 'missing' {
  const { batch, total, highest, stored } = known
  // An earlier request for the same may have added the closing chunk.
  const told = total === chunks || (total === chunks + 1 && known.closed)
  if (told && stored === chunks) return 'whole'
  if (batch.state !== 'open') throw hasEnded(batch)
  if (total !== null && !told) throw otherTotal(chunks, total)
  if (!told && highest !== null && highest >= chunks) throw tooFew(chunks, highest)
  return stored === chunks ? 'untold' : 'missing'
}

export const hasEnded = ({ state, ...batch }: { id: string; dryRun: boolean; state: string }): Problem =>
  new Problem(409, `${batch.dryRun ? 'Dry run' : 'Batch'} ${batch.id} has ended (${state}).`, {
    extensions: { code: 'ended', state },
  })

const otherTotal = (said: number, total: number): Problem =>
  new Problem(409, `This says ${said} chunks; the batch has ${total}.`, { extensions: { code: 'other_total', total } })

const tooFew = (said: number, highest: number): Problem =>
  new Problem(409, `This says ${said} chunks; chunk ${highest} is there already.`, {
    extensions: { code: 'other_total', highest },
  })
