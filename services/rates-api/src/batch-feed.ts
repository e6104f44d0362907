import { type Batch } from '@rates/core/batch'
import { type Logger } from '@rates/service/log'
import { isTransient } from '@rates/service/transient'
import { type Pool } from 'pg'
import { keyOf, look, LowWater, type BatchName, type Seen } from './batch-feed-look.ts'
import { type Ledger } from './ledger.ts'

/** A batch as it has become. */
export interface Change {
  readonly no: bigint
  readonly batch: Batch
  /** The batch as JSON, which is made once for all who are told. */
  readonly json: string
}

export interface Watcher {
  /** The only batch it wants to hear of, which need not be there yet; without it all. */
  readonly of?: BatchName | undefined
  /**
   * The `first` time what there is: of one that batch, if it is there; of all the open ones and the newest. Then what
   * has changed. Lowest number first.
   */
  take(changes: readonly Change[], first: boolean): void
}

/** Between looks, in milliseconds. */
const TICK = 300
/** Rests at least so many times as long as the look before took, lest following costs what loading needs ... */
const REST = 5
/** ... unless what is told would be more than about a second old. */
const LONGEST_REST = 700
/** Somebody waits for the next look; it follows no faster than this. */
const SHORTEST_REST = 50

const FIRST_RETRY = 500
const LONGEST_RETRY = 5_000

/** Batches that a watcher of all is told first: the newest, and of those that are open. */
const NEWEST_AT_FIRST = 50
const OPEN_AT_FIRST = 1_000
/** Ended batches that are asked for again until they are purged: the newest, if more wait for that. */
const TO_PURGE = 500

/** A batch as it was seen last, and as it was read last, if it was. */
interface Known {
  readonly seen: Seen
  /** It ended while it was followed. */
  readonly toPurge: boolean
  change: Change | undefined
}

export interface FeedParts {
  readonly pool: Pool
  readonly ledger: Ledger
  readonly log: Logger
}

/**
 * Tells what happens to batches: one loop in a process looks into the ledger for all who watch, and only while somebody
 * does. A look is one cheap statement; what has changed by it is read in full, once. All that a watcher is told was read
 * by this loop, one after the other, so that nothing goes back. PostgreSQL may be away for a while: watchers stay.
 */
export class BatchFeed {
  readonly #parts: FeedParts
  /** True: it has been told what there is. */
  readonly #watchers = new Map<Watcher, boolean>()
  readonly #lowWater = new LowWater()
  #known: ReadonlyMap<bigint, Known> = new Map()
  #loop: Promise<void> | undefined
  #nudged = false
  /** Ends the rest, in which it is set. */
  #wake: ((least?: number) => void) | undefined
  #failures = 0
  #closed = false

  constructor(parts: FeedParts) {
    this.#parts = parts
  }

  /** @returns what ends it */
  watch(watcher: Watcher): () => void {
    if (this.#closed) return () => undefined
    this.#watchers.set(watcher, false)
    if (this.#loop) this.nudge()
    else this.#loop = this.#run()
    return () => {
      this.#watchers.delete(watcher)
      if (this.#watchers.size === 0) this.#wake?.(0)
    }
  }

  /** Something has just changed, or somebody has come: looks soon. */
  nudge(): void {
    this.#nudged = true
    this.#wake?.()
  }

  /** Nobody is told anything any more. */
  async close(): Promise<void> {
    this.#closed = true
    this.#watchers.clear()
    this.#wake?.(0)
    await this.#loop
  }

  async #run(): Promise<void> {
    while (this.#watchers.size > 0) {
      this.#nudged = false
      const started = performance.now()
      const retry = await this.#look().then(
        () => this.#succeeded(),
        (error: unknown) => this.#failed(error),
      )
      const took = performance.now() - started
      if (retry !== undefined) await this.#rest(retry, retry)
      else await this.#rest(Math.max(SHORTEST_REST, 2 * took), Math.min(Math.max(TICK, REST * took), LONGEST_REST))
    }
    this.#known = new Map()
    this.#lowWater.forget()
    this.#loop = undefined
  }

  #succeeded(): undefined {
    if (this.#failures > 0) this.#parts.log.info({ failures: this.#failures }, 'batches are followed again')
    this.#failures = 0
  }

  /** @returns how long to rest */
  #failed(error: unknown): number {
    if (this.#failures++ === 0) {
      this.#parts.log[isTransient(error) ? 'warn' : 'error']({ err: error }, 'cannot follow batches: trying again')
    }
    return Math.min(FIRST_RETRY * 2 ** (this.#failures - 1), LONGEST_RETRY) * (0.75 + Math.random() / 2)
  }

  /** Rests for `most` ms; a nudge ends it, but not before `least`. */
  async #rest(least: number, most: number): Promise<void> {
    if (this.#watchers.size === 0) return
    const began = performance.now()
    await new Promise<void>((resolve) => {
      let timer: NodeJS.Timeout | undefined
      const restFor = (ms: number): void => {
        clearTimeout(timer)
        timer = setTimeout(resolve, Math.max(began + ms - performance.now(), 0))
      }
      this.#wake = (at = least) => restFor(at)
      restFor(this.#nudged ? least : most)
    })
    this.#wake = undefined
  }

  async #look(): Promise<void> {
    const watchers = [...this.#watchers] // who comes meanwhile is told by the next look
    const all = watchers.some(([{ of }]) => of === undefined)
    if (!all) this.#lowWater.forget()
    const before = this.#known
    const { batches, mark } = await look(this.#parts.pool, {
      all,
      names: [...new Map(watchers.flatMap(([{ of }]) => (of ? [[keyOf(of), of] as const] : []))).values()],
      unsettled: all ? unsettled([...before.values()]) : [],
      since: this.#lowWater.since,
    })
    const known = new Map(batches.map((seen) => [seen.no, remember(seen, before.get(seen.no))]))
    const hears = listeners(batches, before)
    const turns = watchers.map(([watcher, greeted]) => ({ watcher, greeted, hears: hears(watcher.of, greeted) }))
    const unread = turns.flatMap((turn) => turn.hears).filter(({ no }) => !known.get(no)!.change)
    for (const { no, batch } of await this.#parts.ledger.byNumbers([...new Set(unread.map(({ no }) => no))])) {
      known.get(no)!.change = { no, batch, json: JSON.stringify(batch) }
    }
    this.#known = known
    if (all) this.#lowWater.saw(mark)
    for (const { watcher, greeted, hears } of turns) {
      if (!this.#watchers.has(watcher)) continue
      this.#watchers.set(watcher, true)
      const changes = hears.flatMap(({ no }) => known.get(no)!.change ?? []) // without those that are gone
      // One may have been read when it was further already than the look had seen.
      const told = greeted ? changes.filter(({ no, json }) => before.get(no)?.change?.json !== json) : changes
      if (told.length > 0 || !greeted) watcher.take(told, !greeted)
    }
  }
}

function remember(seen: Seen, before: Known | undefined): Known {
  const same = before?.seen.signature === seen.signature
  const toPurge = seen.unpurged && before !== undefined && (before.toPurge || !same)
  return { seen, toPurge, change: same ? before.change : undefined }
}

/** Numbers of batches that something is to happen to yet. Nobody asks for those that ended before they were followed. */
function unsettled(known: readonly Known[]): bigint[] {
  const open = known.filter(({ seen }) => seen.open)
  const toPurge = known.filter(({ toPurge }) => toPurge).slice(-TO_PURGE) // lowest number first
  return [...open, ...toPurge].map(({ seen }) => seen.no)
}

/** What a watcher is to hear of after a look: all that there is, for it, when it has just come; else what has changed. */
function listeners(
  batches: readonly Seen[],
  before: ReadonlyMap<bigint, Known>,
): (of: BatchName | undefined, greeted: boolean) => readonly Seen[] {
  const open = batches.filter((seen) => seen.open).slice(-OPEN_AT_FIRST)
  const newest = new Set([...open, ...batches.slice(-NEWEST_AT_FIRST)])
  const present = batches.filter((seen) => newest.has(seen))
  const changed = batches.filter(({ no, signature }) => before.get(no)?.seen.signature !== signature)
  // The others were only asked for, or have taken the place of batches that are gone.
  const news = changed.filter(({ no, news }) => news || before.has(no))
  const named = (among: readonly Seen[]): Map<string, Seen[]> => new Map(among.map((seen) => [keyOf(seen), [seen]]))
  const [allByName, changedByName] = [named(batches), named(changed)]
  return (of, greeted) => {
    if (of === undefined) return greeted ? news : present
    return (greeted ? changedByName : allByName).get(keyOf(of)) ?? []
  }
}
