import { type Batch, type RowError } from '@rates/core/batch'
import { readErrors } from './bad-rows.ts'
import { replyOfBatch } from './batch-reply.ts'
import { describeHidden, describeReply, exitCodeOf } from './outcome.ts'

/**
 * Prints how a batch ended that others have sent, in the words of its reply; as JSON the batch itself.
 * @returns the exit code
 */
export async function tellBatch(url: string, batch: Batch, json: boolean): Promise<number> {
  const { id, dryRun, rows } = batch
  if (json) {
    console.log(JSON.stringify(batch))
    return exitCodeOf(replyOfBatch(batch, []))
  }
  const errors = rows.rejected === 0 ? [] : (await readErrors({ url, id, dryRun })).errors
  const reply = replyOfBatch(batch, errors as RowError[])
  const hidden = describeHidden(batch)
  console.log(describeReply(reply, { name: id, visibleSeconds: undefined, repeated: false, hidden, url }))
  return exitCodeOf(reply)
}
