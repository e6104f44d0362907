import { type Batch } from '@rates/core/batch'
import { type JSX } from 'preact'
import { useState } from 'preact/hooks'
import { postJson } from '../../api.ts'
import { isOpen } from '../../batch-store.ts'
import { plural } from '../../format.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { navigate } from '../../router.ts'
import { batchPath } from '../../routes.ts'

type Action = 'revert' | 'cancel' | 'retry'

export const actionsFor = (batch: Batch): Action[] => {
  if (isOpen(batch)) return ['cancel']
  if (batch.dryRun) return []
  if (batch.state === 'succeeded') return ['revert']
  return batch.state === 'replaced' ? [] : ['retry']
}

const NAMES: Record<Action, string> = { revert: 'Revert', cancel: 'Cancel', retry: 'Run again' }
/** In a dialog, Cancel alone would be understood as the way back. */
const ANSWERS: Record<Action, string> = { revert: 'Revert it', cancel: 'Cancel the batch', retry: 'Run it again' }

/** What can be done to the batch; each is asked about first. */
export function Actions({ batch, onChanged }: { batch: Batch; onChanged: (batch: Batch) => void }): JSX.Element {
  const [asked, ask] = useState<Action>()
  const path = (action: Action): string =>
    `batches/${encodeURIComponent(batch.id)}/${action}${batch.dryRun ? '?dryRun=true' : ''}`
  const act = async (action: Action): Promise<void> => {
    if (action !== 'retry') onChanged(await postJson<Batch>(path(action)))
    else navigate(batchPath({ id: (await postJson<{ id: string }>(path(action))).id, dryRun: false }))
  }
  return (
    <>
      {actionsFor(batch).map((action) => (
        <button key={action} type="button" class={action === 'retry' ? '' : 'danger'} onClick={() => ask(action)}>
          {NAMES[action]}
        </button>
      ))}
      {asked !== undefined && (
        <Confirm
          title={`${NAMES[asked]} ${batch.id}?`}
          action={ANSWERS[asked]}
          danger={asked !== 'retry'}
          act={() => act(asked)}
          onClose={() => ask(undefined)}
        >
          <Consequence action={asked} batch={batch} />
        </Confirm>
      )}
    </>
  )
}

function Consequence({ action, batch }: { action: Action; batch: Batch }): JSX.Element {
  switch (action) {
    case 'revert':
      return (
        <p>
          Its {plural(batch.rows.accepted, 'price')} disappear from all rates in one instant
          {batch.replaces === null ? '' : `, and those of ${batch.replaces}, which it replaced, are visible again`}.
          This cannot be undone; the same file can be sent as a new batch.
        </p>
      )
    case 'cancel':
      return <p>It ends here: nothing of it was or will be visible, and its sender is told that it was cancelled.</p>
    case 'retry':
      return <p>Its records are read from Kafka once more, as a new batch with an id of its own.</p>
  }
}
