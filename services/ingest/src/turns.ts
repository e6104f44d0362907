import { type IncomingRecord } from '@rates/service/kafka'

export type Lane = 'fast' | 'bulk'

interface Waiting {
  lane: Lane
  /** Milliseconds since 1970; Infinity without one. */
  deadline: number
  start: () => void
}

/**
 * One chunk at a time in a worker: of all records that were fetched, those of the first lane before those of the bulk
 * lane, within a lane the one whose deadline is nearest, else in the order of arrival. So memory is bounded by one chunk,
 * and a small batch waits for one chunk of a large one at most.
 */
export class Turns {
  private busy = false
  private readonly waiting: Waiting[] = []

  async take<T>(lane: Lane, deadline: number, work: () => Promise<T>): Promise<T> {
    if (this.busy) await new Promise<void>((start) => this.enqueue({ lane, deadline, start }))
    this.busy = true
    try {
      return await work()
    } finally {
      const next = this.waiting.shift()
      // The turn is handed over while busy stays true, so that nobody can step in between.
      if (next) next.start()
      else this.busy = false
    }
  }

  /** One record of each fetched partition waits at most, so this list is short. */
  private enqueue(one: Waiting): void {
    const at = this.waiting.findIndex((other) => isBefore(one, other))
    this.waiting.splice(at === -1 ? this.waiting.length : at, 0, one)
  }
}

const isBefore = (a: Waiting, b: Waiting): boolean => (a.lane === b.lane ? a.deadline < b.deadline : a.lane === 'fast')

/** When the record's batch has to be visible, in milliseconds since 1970; Infinity if it does not say, or not rightly. */
export function deadlineOf({ headers }: Pick<IncomingRecord, 'headers'>): number {
  const deadline = Date.parse(headers.get('deadline') ?? '')
  return Number.isNaN(deadline) ? Infinity : deadline
}
