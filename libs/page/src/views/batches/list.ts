import { type Batch } from '@rates/core/batch'
import { type BatchPage } from '../../api.ts'
import { isOpen, keyOf } from '../../batch-store.ts'

/** Rows that people look at: what is new waits until it disturbs nobody. */
export interface List {
  /** Keys of what is shown, the newest first; undefined until the first page is there. */
  shown: readonly string[] | undefined
  /** Keys of what is new and not shown yet, the newest first. */
  held: readonly string[]
  batches: ReadonlyMap<string, Batch>
  /** More is held than is remembered: to show it, the list begins anew. */
  overflow: boolean
  /** The query of the page after what is shown; null if that is all. */
  next: string | null
}

export const EMPTY_LIST: List = { shown: undefined, held: [], batches: new Map(), overflow: false, next: null }

/** A list that grows at its top is cut to half of so many: a page that is left open does not become slow. */
export const MOST_ROWS = 200
export const MOST_HELD = 500

export const rowsOf = (list: List): Batch[] => (list.shown ?? []).map((key) => list.batches.get(key)!)

/** The first page is there. What the stream told before is newer. */
export function begin(list: List, page: BatchPage): List {
  const batches = new Map([...page.batches.map(entry), ...list.batches])
  const shown = page.batches.map(keyOf)
  const begun: List = { shown, held: [], batches, overflow: false, next: cursorOf(page) }
  const fresh = list.held.filter((key) => !isOlder(begun, key) && !shown.includes(key))
  return reveal({ ...begun, held: placed([], fresh, batches) })
}

/**
 * The first page once more, after a connection that was lost when `newest` was the time of the newest batch known.
 * `told` are the keys of what the new connection has said, which is newer than the page. If the page does not reach down
 * to what was known, there is a gap between them, and the list begins anew.
 */
export function renew(
  list: List,
  page: BatchPage,
  { told, newest, fits }: { told: ReadonlySet<string>; newest: string; fits: (batch: Batch) => boolean },
): List {
  const untold = page.batches.filter((batch) => !told.has(keyOf(batch)))
  const last = page.batches.at(-1)
  if (page.nextCursor === null || last === undefined || last.createdAt <= newest)
    return tell(list, untold.reverse(), fits)
  const heard = [...list.batches.values()].filter((batch) => told.has(keyOf(batch)))
  return begin(tell(EMPTY_LIST, heard, fits), page)
}

/** When the newest batch that is known was opened. */
export const newestOf = ({ shown, held, batches }: List): string =>
  [shown?.[0], held[0]]
    .map((key) => (key === undefined ? '' : batches.get(key)!.createdAt))
    .reduce((a, b) => (a > b ? a : b))

/** The page after what was shown. */
export function append(list: List, page: BatchPage): List {
  const known = new Set(list.shown)
  const more = page.batches.filter((batch) => !known.has(keyOf(batch)))
  const keys = new Set(more.map(keyOf))
  return {
    ...list,
    shown: [...(list.shown ?? []), ...keys],
    held: list.held.filter((key) => !keys.has(key)),
    // A row that was told meanwhile is newer than the page.
    batches: new Map([...more.map(entry), ...list.batches]),
    next: cursorOf(page),
  }
}

/** Changes that the stream tells: rows change where they are, also if they match no more; new ones are held. */
export function tell(list: List, told: readonly Batch[], fits: (batch: Batch) => boolean): List {
  const batches = new Map(list.batches)
  const known = new Set([...(list.shown ?? []), ...list.held])
  const fresh = new Set<string>()
  const gone = new Set<string>()
  for (const batch of told) {
    const key = keyOf(batch)
    if (known.has(key) || fits(batch)) batches.set(key, batch)
    if (fits(batch)) {
      gone.delete(key)
      if (!known.has(key)) fresh.add(key)
    } else gone.add(key)
  }
  const changed = { ...list, batches }
  const isNew = (key: string): boolean => !gone.has(key) && !isOlder(changed, key)
  const stay = list.held.filter((key) => !gone.has(key))
  return limited({ ...changed, held: placed(stay, [...fresh].filter(isNew), batches) })
}

function limited(list: List): List {
  const { shown, held, batches } = list
  if (batches.size <= (shown?.length ?? 0) + 2 * MOST_HELD) return list
  const kept = held.slice(0, MOST_HELD)
  return {
    ...remembering(list, [...(shown ?? []), ...kept]),
    held: kept,
    overflow: list.overflow || kept.length < held.length,
  }
}

const remembering = (list: List, keys: readonly string[]): List => ({
  ...list,
  batches: new Map(keys.map((key) => [key, list.batches.get(key)!])),
})

/** Shows what was held. */
export function reveal(list: List): List {
  if (list.shown === undefined || list.held.length === 0) return list
  return { ...list, shown: placed(list.shown, list.held, list.batches), held: [] }
}

/** Only the newest rows, if there are very many; the others come again with the next page. */
export function cut(list: List): List {
  const { shown } = list
  if (shown === undefined || shown.length <= MOST_ROWS) return list
  const kept = shown.slice(0, MOST_ROWS / 2)
  const last = list.batches.get(kept.at(-1)!)!
  // Batches may have been opened in the same millisecond: those that are there already are left out then.
  const until = new Date(Date.parse(last.createdAt) + 1).toISOString()
  return { ...remembering(list, [...kept, ...list.held]), shown: kept, next: `until=${until}` }
}

export const openRows = (list: List): Batch[] => rowsOf(list).filter(isOpen)

const entry = (batch: Batch): [string, Batch] => [keyOf(batch), batch]

const cursorOf = ({ nextCursor }: BatchPage): string | null => (nextCursor === null ? null : `cursor=${nextCursor}`)

/** It would be below what is shown: a later page has it. */
function isOlder({ shown, batches, next }: List, key: string): boolean {
  const last = shown?.at(-1)
  return next !== null && last !== undefined && batches.get(key)!.createdAt < batches.get(last)!.createdAt
}

/** Keys with others among them, each in front of those that were opened before it. */
function placed(keys: readonly string[], others: readonly string[], batches: ReadonlyMap<string, Batch>): string[] {
  const result = [...keys]
  const timeOf = (key: string): string => batches.get(key)!.createdAt
  for (const key of others) {
    const at = result.findIndex((each) => timeOf(each) <= timeOf(key))
    result.splice(at === -1 ? result.length : at, 0, key)
  }
  return result
}
