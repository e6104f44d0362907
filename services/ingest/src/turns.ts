import { type IncomingRecord } from '@rates/service/kafka'

export type Lane = 'fast' | 'bulk'

interface Waiting<T> {
  lane: Lane
  /** Milliseconds since 1970; Infinity without one. */
  deadline: number
  item: T
  settle: (result: PromiseSettledResult<void>) => void
}

export interface TurnOptions<T> {
  /** Does the work of a turn, with a result for each item. */
  work: (items: T[]) => Promise<PromiseSettledResult<void>[]>
  /** Whether an item may share the turn of the first. */
  mayJoin: (first: T, other: T) => boolean
  /** Items that share a turn, at most. */
  most: number
  /** Told when nobody waits for a turn any more. */
  onRest?: () => void
}

/**
 * One turn at a time in a worker: of all records that were fetched, those of the first lane before those of the bulk
 * lane, within a lane the one whose deadline is nearest, else in the order of arrival; with those that may join it. So
 * memory is bounded by one turn's chunks, and a small batch waits for one turn of a large one at most.
 */
export class Turns<T> {
  private busy = false
  private readonly waiting: Waiting<T>[] = []
  private readonly options: TurnOptions<T>

  constructor(options: TurnOptions<T>) {
    this.options = options
  }

  take(lane: Lane, deadline: number, item: T): Promise<void> {
    return new Promise((resolve, reject: (reason: unknown) => void) => {
      const settle = (result: PromiseSettledResult<void>): void =>
        result.status === 'fulfilled' ? resolve() : reject(result.reason)
      this.enqueue({ lane, deadline, item, settle })
      if (!this.busy) this.goOn()
    })
  }

  /** In the next round of the event loop: what was fetched together then waits together. */
  private goOn(): void {
    this.busy = true
    setImmediate(() => void this.next())
  }

  private async next(): Promise<void> {
    const turn = this.pick()
    if (turn.length === 0) {
      this.busy = false
      return
    }
    const results = await this.work(turn.map(({ item }) => item))
    turn.forEach(({ settle }, i) => settle(results[i]!))
    if (this.waiting.length === 0) this.options.onRest?.()
    this.goOn()
  }

  private async work(items: T[]): Promise<PromiseSettledResult<void>[]> {
    try {
      return await this.options.work(items)
    } catch (reason) {
      return items.map(() => ({ status: 'rejected', reason }))
    }
  }

  private pick(): Waiting<T>[] {
    const first = this.waiting.shift()
    if (!first) return []
    const turn = [first]
    const { mayJoin, most } = this.options
    for (let i = 0; i < this.waiting.length && turn.length < most;) {
      const other = this.waiting[i]!
      if (other.lane === first.lane && mayJoin(first.item, other.item)) turn.push(...this.waiting.splice(i, 1))
      else i++
    }
    return turn
  }

  /** One record of each fetched partition waits at most, so this list is short. */
  private enqueue(one: Waiting<T>): void {
    const at = this.waiting.findIndex((other) => isBefore(one, other))
    this.waiting.splice(at === -1 ? this.waiting.length : at, 0, one)
  }
}

const isBefore = (a: Waiting<unknown>, b: Waiting<unknown>): boolean =>
  a.lane === b.lane ? a.deadline < b.deadline : a.lane === 'fast'

/** When the record's batch has to be visible, in milliseconds since 1970; Infinity if it does not say, or not rightly. */
export function deadlineOf({ headers }: Pick<IncomingRecord, 'headers'>): number {
  const deadline = Date.parse(headers.get('deadline') ?? '')
  return Number.isNaN(deadline) ? Infinity : deadline
}
