import { Controller, Param, Query } from '@nestjs/common'
import { type Batch } from '@rates/core/batch'
import { BATCH_ID } from '@rates/core/wire'
import { BatchActions } from './batch-actions.ts'
import { dryRunQuery, idParams, notFound } from './batches.controller.ts'
import { noBatch } from './no-batch.ts'
import { readParameters, Route } from './route.ts'
import { batchSchema, problemSchema } from './schemas.ts'

@Controller()
export class BatchActionsController {
  readonly #actions: BatchActions

  constructor(actions: BatchActions) {
    this.#actions = actions
  }

  @Route({
    method: 'POST',
    path: '/batches/:id/revert',
    summary: 'Hide a batch that succeeded',
    description:
      'All of it disappears in one instant; the batch that it had replaced, if any, is visible again in the same one. ' +
      'It cannot be undone: a corrected file takes a new id. Reverting a reverted batch changes nothing.',
    params: idParams,
    answers: {
      200: { description: 'The batch, which is reverted.', schema: batchSchema },
      404: notFound,
      409: {
        description:
          'It cannot be reverted. `code`: `not_succeeded`, `replaced` (by `replacedBy`: revert that one), `window_over` ' +
          '(it succeeded too long ago), `purged` (the batch that it replaced is gone), `dry_run`. `state`: its state.',
        schema: problemSchema,
      },
    },
  })
  revert(@Param('id') id: string): Promise<Batch> {
    return this.#actions.revert(known(id))
  }

  @Route({
    method: 'POST',
    path: '/batches/:id/cancel',
    summary: 'Cancel a batch that has not ended',
    description:
      'Nothing of it was or will be visible, and its reply says `cancelled`. Cancelling a cancelled batch changes nothing.',
    params: idParams,
    query: dryRunQuery,
    answers: {
      200: { description: 'The batch, which is cancelled.', schema: batchSchema },
      404: notFound,
      409: { description: 'It has ended otherwise: `code` is `ended`, `state` says how.', schema: problemSchema },
    },
  })
  cancel(@Param('id') id: string, @Query() query: unknown): Promise<Batch> {
    const { dryRun } = readParameters(dryRunQuery, query)
    return this.#actions.cancel(known(id), dryRun === 'true')
  }
}

/** No other text can be a batch's id. */
function known(id: string): string {
  if (!BATCH_ID.test(id)) throw noBatch(id)
  return id
}
