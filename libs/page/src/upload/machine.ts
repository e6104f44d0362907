import { type Batch } from '@rates/core/batch'
import { isOpen } from '../batch-store.ts'
import { type FileKind } from './file-kind.ts'

/** A file is checked first, by a dry run, and loaded then: both send all of it. */
export type Step = 'check' | 'load'

export interface ChosenFile {
  name: string
  bytes: number
  kind: FileKind
}

/** Why a step has stopped before its batch had an outcome. */
export interface Fault {
  message: string
  /** The id of the batch that is in the way. */
  batch?: string
  /** Whether all of it may have come, and only the answer was lost. */
  unknown?: boolean
}

interface Going {
  step: Step
  file: ChosenFile
  /** Of the step's batch. */
  id: string
}

/**
 * What an upload is at. `sending` becomes `following` when the service has all of it, `ended` when its batch has an
 * outcome, good or bad, and `stopped` where it does not get so far. A check that ended well lets the load begin, and each
 * step may begin again from `ended` and `stopped`.
 */
export type Work =
  | { at: 'empty' }
  | (Going & { at: 'sending'; sent: number; since: number; batch: Batch | null })
  | (Going & { at: 'following'; batch: Batch | null; cancelling: boolean })
  | (Going & { at: 'ended'; batch: Batch })
  | (Going & { at: 'stopped'; fault: Fault })

export interface UploadState {
  work: Work
  /** Why something that was dropped or chosen was not taken. */
  refusal: string | null
}

export type UploadEvent =
  | { type: 'refused'; why: string }
  | { type: 'started'; step: Step; file: ChosenFile; id: string; now: number }
  | { type: 'sent'; bytes: number }
  /** The service has all of it. */
  | { type: 'accepted' }
  | { type: 'seen'; batch: Batch }
  | { type: 'failed'; fault: Fault }
  | { type: 'cancelling' }
  /** It could not be cancelled, and goes on. */
  | { type: 'uncancelled'; why: string }
  | { type: 'cleared' }

export const NOTHING: UploadState = { work: { at: 'empty' }, refusal: null }

export const isBusy = ({ at }: Work): boolean => at === 'sending' || at === 'following'

export function uploadReducer(state: UploadState, event: UploadEvent): UploadState {
  if (event.type === 'refused') return { ...state, refusal: event.why }
  if (event.type === 'uncancelled') return { work: uncancelled(state.work), refusal: event.why }
  if (event.type === 'cleared') return isBusy(state.work) ? state : NOTHING
  const work = workAfter(state.work, event)
  return work === state.work ? state : { work, refusal: event.type === 'started' ? null : state.refusal }
}

function workAfter(work: Work, event: Exclude<UploadEvent, { type: 'refused' | 'uncancelled' | 'cleared' }>): Work {
  switch (event.type) {
    case 'started': {
      if (isBusy(work)) return work
      const { step, file, id, now } = event
      return { at: 'sending', step, file, id, sent: 0, since: now, batch: null }
    }
    case 'sent':
      return work.at === 'sending' ? { ...work, sent: event.bytes } : work
    case 'accepted': {
      if (work.at !== 'sending') return work
      const { step, file, id, batch } = work
      if (batch !== null && !isOpen(batch)) return { at: 'ended', step, file, id, batch }
      return { at: 'following', step, file, id, batch, cancelling: false }
    }
    case 'seen':
      return seen(work, event.batch)
    case 'failed': {
      if (work.at !== 'sending') return work
      const { step, file, id, batch } = work
      const stopped: Work = { at: 'stopped', step, file, id, fault: event.fault }
      return batch === null ? stopped : seen(stopped, batch)
    }
    case 'cancelling':
      return work.at === 'following' ? { ...work, cancelling: true } : work
  }
}

/** While a file is sent its batch may end already, as with a deadline that passes: the answer to the upload is waited for. */
function seen(work: Work, batch: Batch): Work {
  if (work.at === 'empty' || batch.id !== work.id || batch.dryRun !== (work.step === 'check')) return work
  const { step, file, id } = work
  switch (work.at) {
    case 'sending':
      return { ...work, batch }
    case 'following':
      return isOpen(batch) ? { ...work, batch } : { at: 'ended', step, file, id, batch }
    case 'stopped':
      return work.fault.unknown ? learned(work, batch) : work
    case 'ended':
      return { ...work, batch }
  }
}

/** What became of an upload without an answer. */
function learned(work: Work & { at: 'stopped' }, batch: Batch): Work {
  const { step, file, id, fault } = work
  // What broke off is cancelled by the service, or by whoever was told which batch is in the way.
  if (batch.state === 'cancelled' && fault.batch === undefined) return { ...work, fault: { message: fault.message } }
  if (!isOpen(batch)) return { at: 'ended', step, file, id, batch }
  // How many chunks there are is told by the last one: the service has read all of it.
  return batch.chunks.expected === null ? work : { at: 'following', step, file, id, batch, cancelling: false }
}

const uncancelled = (work: Work): Work => (work.at === 'following' ? { ...work, cancelling: false } : work)

/**
 * The id under which a load is tried again whose answer was lost: nothing can be loaded twice under one id. Undefined
 * where it begins anew. A check may be made any number of times.
 */
export function unsureId(work: Work, step: Step, typedId: string): string | undefined {
  if (step !== 'load' || work.at !== 'stopped' || work.step !== 'load' || !work.fault.unknown) return undefined
  return typedId === '' || typedId === work.id ? work.id : undefined
}
