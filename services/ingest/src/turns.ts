/**
 * One chunk at a time in a worker, the first lane before the bulk lane: both consumers take turns here, so that memory
 * is bounded by one chunk and a small batch waits for one chunk of a large one at most.
 */
export class Turns {
  private busy = false
  private readonly waiting: [(() => void)[], (() => void)[]] = [[], []]

  async take<T>(lane: 'fast' | 'bulk', work: () => Promise<T>): Promise<T> {
    if (this.busy) await new Promise<void>((resolve) => this.waiting[lane === 'fast' ? 0 : 1].push(resolve))
    this.busy = true
    try {
      return await work()
    } finally {
      const next = this.waiting[0].shift() ?? this.waiting[1].shift()
      // The turn is handed over while busy stays true, so that nobody can step in between.
      if (next) next()
      else this.busy = false
    }
  }
}
