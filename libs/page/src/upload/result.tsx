import { type JSX } from 'preact'
import { ErrorTable } from '../bad-rows/error-table.tsx'
import { plural } from '../format.ts'
import { Failure } from '../parts/failure.tsx'
import { Refusal } from '../parts/notes.tsx'
import { batchPath } from '../routes.ts'
import { type Work } from './machine.ts'
import { begin, clear } from './session.ts'

interface Props {
  work: Work & { at: 'ended' | 'stopped' }
  /** What is said of the batch cannot be sent. */
  invalid: boolean
}

/** How a step came out, and what can be done then. */
export function Result({ work, invalid }: Props): JSX.Element {
  const { step } = work
  if (work.at === 'stopped') {
    const { message, batch } = work.fault
    return (
      <>
        <Refusal>
          {message} {batch !== undefined && <a href={batchPath({ id: batch, dryRun: false })}>See {batch}</a>}
        </Refusal>
        <p class="buttons">
          <button type="button" class="main" disabled={invalid} onClick={() => void begin(step)}>
            Try again
          </button>
        </p>
      </>
    )
  }
  const { batch } = work
  const good = batch.state === 'succeeded'
  return (
    <>
      <Failure batch={batch} />
      <ErrorTable batch={batch} />
      {step === 'check' && good && <p class="note">Nothing of it is visible yet.</p>}
      <p class="buttons">
        {step === 'check' && good && (
          <button type="button" class="main" disabled={invalid} onClick={() => void begin('load')}>
            Load {plural(batch.rows.accepted, 'row')}
          </button>
        )}
        {step === 'load' && (
          <a class="button" href={batchPath(batch)}>
            See the batch {batch.id}
          </a>
        )}
        {!(step === 'load' && good) && (
          <button type="button" disabled={invalid} onClick={() => void begin('check')}>
            Check again
          </button>
        )}
        {step === 'load' && good && (
          <button type="button" onClick={clear}>
            Done
          </button>
        )}
      </p>
    </>
  )
}
