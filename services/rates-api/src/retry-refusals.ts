import { batchLinks } from './batch-view.ts'
import { notSeenYet } from './no-batch.ts'
import { Problem } from './problem.ts'
import { type Standing } from './retry-ledger.ts'

/** What a batch is not run again for, as the caller is told it. */
export function refusal(id: string, standing: Standing, publicUrl: string): Problem {
  const { code, other } = standing
  if (code === 'not_seen_yet') return notSeenYet(id)
  const batch = other === undefined ? {} : { batch: batchLinks(other, false, publicUrl).self }
  const by = code === 'replaced' ? { replacedBy: standing.by } : {}
  return new Problem(409, detailOf(id, standing), { extensions: { code, ...batch, ...by } })
}

function detailOf(id: string, standing: Standing): string {
  const { code, other } = standing
  switch (code) {
    case 'dry_run':
      return `Batch ${id} was a dry run: nothing of it was to be visible.`
    case 'not_ended':
      return `Batch ${id} has not ended.`
    case 'succeeded':
      return other === undefined
        ? `Batch ${id} succeeded, and is visible: revert it first.`
        : `The prices of batch ${id} are visible as batch ${other}: revert that one first.`
    case 'replaced': {
      const what = other === undefined ? `Batch ${id}` : `Batch ${other}, which has the same prices,`
      return `${what} was replaced${standing.by === null ? '' : ` by ${standing.by}`}: these prices were corrected.`
    }
    case 'running':
      return `Batch ${id} is run again already, as ${other}.`
    case 'id_taken':
      return `There is a batch ${other} already.`
    case 'not_seen_yet':
      return `There is no batch ${id}.`
  }
}

const chunks = (count: number): string => (count === 1 ? '1 chunk' : `${count} chunks`)

/** @param missing null: nobody knows how many there are */
export function incomplete(id: string, missing: number | null, total: number | null, gaveUp: boolean): Problem {
  const what = missing === null ? 'The chunk that tells how many there are' : `${chunks(missing)} of ${total}`
  const never = gaveUp ? 'was not found among what came since, though not all of that was looked at' : 'never came'
  const detail = `Batch ${id} cannot be run again: ${missing === null ? what.toLowerCase() : what} ${never}.`
  return new Problem(409, detail, { extensions: { code: 'incomplete', missing } })
}

/** @param gone null: it was found out by reading one */
export function recordsGone(id: string, gone: number | null, stored: number): Problem {
  const what = gone === null ? 'records' : `the records of ${gone} of its ${chunks(stored)}`
  const detail = `Kafka has ${what} of batch ${id} no more: send the file again.`
  return new Problem(409, detail, { extensions: { code: 'records_gone', gone } })
}

export const kafkaAway = (): Problem =>
  new Problem(503, 'Kafka cannot be reached: no batch can be run again, reads go on.', {
    headers: { 'retry-after': '5' },
  })
