import { type Batch, type BatchState } from '@rates/core/batch'
import { finds } from '../../words.ts'

/** What the list shows; its place is the address, with the names that the API has for it. */
export interface Filter {
  states: readonly BatchState[]
  q: string
  source: string
  /** Undefined: dry runs and others. */
  dryRun: boolean | undefined
}

/** As people think of them: to be loading has two states. */
export const STATE_CHIPS: readonly { name: string; states: readonly BatchState[] }[] = [
  { name: 'loading', states: ['pending', 'in_progress'] },
  { name: 'succeeded', states: ['succeeded'] },
  { name: 'failed', states: ['failed'] },
  { name: 'cancelled', states: ['cancelled'] },
  { name: 'reverted', states: ['reverted'] },
  { name: 'replaced', states: ['replaced'] },
]
const STATES: readonly string[] = STATE_CHIPS.flatMap(({ states }) => states)
const isState = (text: string): text is BatchState => STATES.includes(text)

export const NO_FILTER: Filter = { states: [], q: '', source: '', dryRun: undefined }

export function readFilter(query: URLSearchParams): Filter {
  const dryRun = query.get('dryRun')
  return {
    states: (query.get('state') ?? '').split(',').filter(isState),
    q: query.get('q') ?? '',
    source: query.get('source') ?? '',
    dryRun: dryRun === 'true' ? true : dryRun === 'false' ? false : undefined,
  }
}

/** As a query of the page and of GET /batches, without `?`; empty if nothing is left out. */
export function queryOf({ states, q, source, dryRun }: Filter): string {
  const query = new URLSearchParams()
  if (states.length > 0)
    query.set('state', STATES.filter((state) => (states as readonly string[]).includes(state)).join())
  if (q.trim() !== '') query.set('q', q.trim())
  if (source.trim() !== '') query.set('source', source.trim())
  if (dryRun !== undefined) query.set('dryRun', String(dryRun))
  // A comma needs no escape, and is easier to read.
  return query.toString().replaceAll('%2C', ',')
}

export const hasChip = (filter: Filter, states: readonly BatchState[]): boolean =>
  states.some((state) => filter.states.includes(state))

export function toggleChip(filter: Filter, states: readonly BatchState[]): Filter {
  const others = filter.states.filter((state) => !states.includes(state))
  return { ...filter, states: hasChip(filter, states) ? others : [...others, ...states] }
}

/** Whether the service would list it, for batches that come by the stream. */
export function matches(batch: Batch, { states, q, source, dryRun }: Filter): boolean {
  if (states.length > 0 && !states.includes(batch.state)) return false
  if (source.trim() !== '' && batch.source !== source.trim()) return false
  if (dryRun !== undefined && batch.dryRun !== dryRun) return false
  const { error } = batch
  return finds(q, [batch.id, batch.source, error?.code, error?.message, error?.rules && JSON.stringify(error.rules)])
}
