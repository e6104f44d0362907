import { messageOf, postJson, readJson, ApiProblem } from '../api.ts'
import { follow, oneBatch } from '../live.ts'
import { faultOfRetry, STOPPED, UNREADABLE } from './faults.ts'
import { newId, NO_FIELDS, parametersOf, type Fields } from './fields.ts'
import { HEAD_BYTES, kindOf } from './file-kind.ts'
import {
  isBusy,
  NOTHING,
  unsureId,
  uploadReducer,
  type ChosenFile,
  type Fault,
  type Step,
  type UploadEvent,
  type UploadState,
} from './machine.ts'
import { send } from './send.ts'

// The upload that goes on. It belongs to the page and not to a view: whoever looks at another place meanwhile finds it
// as it is when they come back.

let state = NOTHING
let fields = NO_FIELDS
let file: File | undefined
let sending = new AbortController()
let unfollow: () => void = () => undefined

export interface Session {
  state: UploadState
  fields: Fields
}
let session: Session = { state, fields }
const listeners = new Set<() => void>()

export const current = (): Session => session

export function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}

export function setFields(changed: Partial<Fields>): void {
  fields = { ...fields, ...changed }
  publish()
}

/** What was dropped or chosen. It is checked at once. */
export async function choose(files: readonly File[]): Promise<void> {
  if (files.length === 0) return
  const chosen = await describe(files)
  if (typeof chosen === 'string') return apply({ type: 'refused', why: chosen })
  if (state.work.at === 'ended' && state.work.step === 'load') clear()
  file = files[0]
  await begin('check', chosen)
}

/** A file as it is sent, or why it is not. */
async function describe([first, ...others]: readonly File[]): Promise<ChosenFile | string> {
  const { name, size } = first!
  if (others.length > 0) return `These are ${others.length + 1} files. Each is a batch of its own: one at a time.`
  const head = await headOf(first!)
  if (head === undefined) return `${name} cannot be read. Is it a folder?`
  const kind = kindOf(name, head)
  if (typeof kind === 'string') return kind
  // Last, for another one may have begun while this one was read.
  return isBusy(state.work) ? 'A file is being sent: one at a time.' : { name, bytes: size, kind }
}

/** Sends the file that was chosen, to be checked or to be loaded. */
export async function begin(step: Step, chosen = 'file' in state.work ? state.work.file : undefined): Promise<void> {
  if (file === undefined || chosen === undefined || isBusy(state.work)) return
  // A dry run has an id of its own, so that a file can be checked again and again.
  const unsure = unsureId(state.work, step, fields.id)
  const id = unsure ?? (step === 'load' && fields.id !== '' ? fields.id : ownId())
  apply({ type: 'started', step, file: chosen, id, now: Date.now() })
  sending = new AbortController()
  const { signal } = sending
  watch(id, step)
  try {
    await refuseTaken(fields.id, signal)
    const path = `batches?${parametersOf(fields, id, step === 'check')}`
    await send(path, file, chosen.kind, { onSent: (bytes) => apply({ type: 'sent', bytes }), signal })
    apply({ type: 'accepted' })
  } catch (error) {
    apply({ type: 'failed', fault: signal.aborted ? STOPPED[step] : await faultOfSending(error, step, unsure) })
  }
}

/** Ends what goes on: by breaking the connection, or once all was sent by asking for it. */
export async function stop(): Promise<void> {
  const { work } = state
  if (work.at === 'sending') return sending.abort()
  if (work.at !== 'following') return
  apply({ type: 'cancelling' })
  try {
    await postJson(`batches/${encodeURIComponent(work.id)}/cancel${work.step === 'check' ? '?dryRun=true' : ''}`)
  } catch (error) {
    // If it has ended meanwhile, its outcome says so.
    if (!(error instanceof ApiProblem && error.status === 409)) apply({ type: 'uncancelled', why: messageOf(error) })
  }
}

/** Makes room for another upload; who sends it is the same as a rule. */
export function clear(): void {
  if (isBusy(state.work)) return
  fields = { ...NO_FIELDS, source: fields.source }
  file = undefined
  apply({ type: 'cleared' })
}

function apply(event: UploadEvent): void {
  state = uploadReducer(state, event)
  const { work } = state
  // What became of an upload without an answer is told by its batch.
  if (work.at === 'empty' || work.at === 'ended' || (work.at === 'stopped' && !work.fault.unknown)) unfollow()
  // From then on the service does the rest, with or without this page.
  if (work.at === 'sending') addEventListener('beforeunload', ask)
  else removeEventListener('beforeunload', ask)
  publish()
}

function publish(): void {
  session = { state, fields }
  for (const listener of listeners) listener()
}

function watch(id: string, step: Step): void {
  unfollow()
  const end = follow(oneBatch(id, step === 'check'), {
    onBatch: (batch) => apply({ type: 'seen', batch }),
    onConnected: () => undefined,
  })
  unfollow = () => {
    unfollow = () => undefined
    end()
  }
}

/** Nobody shall wait for a check to learn then that the id is taken. @throws ApiProblem */
async function refuseTaken(id: string, signal: AbortSignal): Promise<void> {
  if (id === '') return
  try {
    await readJson(`batches/${encodeURIComponent(id)}`, signal)
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 404) return
    throw error
  }
  throw new ApiProblem(409, '', { batch: `/batches/${id}` })
}

async function faultOfSending(error: unknown, step: Step, unsure: string | undefined): Promise<Fault> {
  const lost = error instanceof ApiProblem && error.status === 0
  return lost && file && (await headOf(file)) === undefined ? UNREADABLE : faultOfRetry(error, step, unsure)
}

/** Undefined where it cannot be read: it is a folder, or was changed since it was chosen. */
async function headOf(of: File): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await of.slice(0, HEAD_BYTES).arrayBuffer())
  } catch {
    return undefined
  }
}

const ownId = (): string => newId(Date.now(), crypto.getRandomValues(new Uint8Array(3)))

const ask = (event: BeforeUnloadEvent): void => event.preventDefault()
