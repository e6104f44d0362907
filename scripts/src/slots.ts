/** Work of which only so much goes on at a time. The first failure stops what has not begun. */
export class Slots {
  private readonly going = new Set<Promise<void>>()
  private readonly most: number
  private fault: { error: unknown } | undefined
  private onFault: (error: unknown) => void = () => undefined

  constructor(most: number) {
    this.most = most
  }

  /** Resolves when the work has begun. @throws what earlier work threw */
  async begin(work: () => Promise<void>): Promise<void> {
    while (this.going.size >= this.most) await Promise.race(this.going)
    this.rethrow()
    const going = work()
      .catch((error: unknown) => this.fail(error))
      .finally(() => this.going.delete(going))
    this.going.add(going)
  }

  /** Waits for something else beside the work, one thing at a time. @throws what the work throws meanwhile */
  meanwhile<T>(other: Promise<T>): Promise<T> {
    // A race with one promise of all failures would keep every result for as long as that one lives.
    return new Promise((resolve, reject) => {
      this.onFault = reject
      if (this.fault) reject(this.fault.error as Error)
      other.then(resolve, reject)
    })
  }

  /** Resolves when all has ended, well or not. */
  async ended(): Promise<void> {
    await Promise.all(this.going)
  }

  /** Resolves when all has ended well. @throws what any of it threw */
  async all(): Promise<void> {
    await this.ended()
    this.rethrow()
  }

  private fail(error: unknown): void {
    this.fault ??= { error }
    this.onFault(error)
  }

  private rethrow(): void {
    if (this.fault) throw this.fault.error
  }
}
