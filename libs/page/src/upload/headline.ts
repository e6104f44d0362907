import { type Batch } from '@rates/core/batch'
import { count, plural } from '../format.ts'
import { type Step, type Work } from './machine.ts'

/** What an upload is at, in a few words. */
export function headline(work: Work): string {
  switch (work.at) {
    case 'empty':
      return ''
    case 'sending':
      return `Sending ${work.file.name} to be ${work.step === 'check' ? 'checked' : 'loaded'}`
    case 'following':
      return work.step === 'check' ? 'Checking' : 'Loading'
    case 'stopped':
      return work.step === 'check' ? 'Not checked' : 'Not loaded'
    case 'ended':
      return outcome(work.step, work.batch)
  }
}

function outcome(step: Step, { state, rows, error }: Batch): string {
  switch (state) {
    case 'succeeded':
      return `${plural(rows.accepted, 'row')} ${rows.accepted === 1 ? 'is' : 'are'} ${step === 'check' ? 'good' : 'visible'}`
    case 'cancelled':
      return step === 'check' ? 'The check was stopped' : 'The load was stopped: nothing of it is visible'
    case 'reverted':
    case 'replaced':
      return `The batch was ${state}`
    case 'failed': {
      const all = rows.accepted + rows.rejected
      const bad = error?.code === 'rejected_rows'
      if (bad)
        return `${count(rows.rejected)} of ${plural(all, 'row')} ${rows.rejected === 1 ? 'breaks' : 'break'} a rule`
      return step === 'check' ? 'It cannot be loaded' : 'It was not loaded: nothing of it is visible'
    }
    case 'pending':
    case 'in_progress':
      throw new Error(`${state} is no outcome`)
  }
}
