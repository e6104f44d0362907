import { type Batch, type BatchState } from '@rates/core/batch'

/** Batches by what they are told apart by: a dry run may have the id of a real one. */
export type BatchStore = ReadonlyMap<string, Batch>

export const keyOf = ({ id, dryRun }: Pick<Batch, 'id' | 'dryRun'>): string => `${dryRun ? 'dry-run' : 'batch'} ${id}`

/** With newer states; what is in no list any more is dropped, so that a page that is left open does not grow. */
export function put(store: BatchStore, batches: readonly Batch[], most = 500): BatchStore {
  const next = new Map(store)
  for (const batch of batches) next.set(keyOf(batch), batch)
  if (next.size <= most) return next
  const kept = newest([...next.values()].filter((batch) => !isOpen(batch)))
    .slice(0, most / 2)
    .concat([...next.values()].filter(isOpen))
  return new Map(kept.map((batch) => [keyOf(batch), batch]))
}

/** Adds the key as the newest one; the oldest goes where there are too many. */
export function remember(keys: Set<string>, key: string, most = 3000): void {
  keys.delete(key)
  keys.add(key)
  if (keys.size > most) keys.delete(keys.values().next().value!)
}

export const isOpen = ({ state }: Pick<Batch, 'state'>): boolean => state === 'pending' || state === 'in_progress'

export const inState = (store: BatchStore, ...states: BatchState[]): Batch[] =>
  [...store.values()].filter(({ state }) => states.includes(state))

/** By when they were opened. */
export const newest = (batches: readonly Batch[]): Batch[] =>
  batches.toSorted((a, b) => compare(b.createdAt, a.createdAt))

/** By when they ended. */
export const lastEnded = (batches: readonly Batch[]): Batch[] =>
  batches.toSorted((a, b) => compare(b.finishedAt ?? b.createdAt, a.finishedAt ?? a.createdAt))

/** Of those that load, the one that has the least time left first; those without a deadline by their age. */
export const mostUrgent = (batches: readonly Batch[]): Batch[] =>
  batches.toSorted((a, b) => slackOf(a) - slackOf(b) || compare(a.createdAt, b.createdAt))

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const slackOf = ({ slackSeconds }: Batch): number => slackSeconds ?? Number.MAX_SAFE_INTEGER
