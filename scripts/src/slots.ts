/** Work of which only so much goes on at a time. The first failure stops what has not begun. */
export class Slots {
  /** Rejects with the first failure. */
  readonly failed: Promise<never>
  private readonly going = new Set<Promise<void>>()
  private readonly most: number
  private fail: (error: unknown) => void = () => undefined

  constructor(most: number) {
    this.most = most
    this.failed = new Promise((_, reject) => (this.fail = reject))
    this.failed.catch(() => undefined) // whoever begins more, or waits for all, hears of it
  }

  /** Resolves when the work has begun. @throws what earlier work threw */
  async begin(work: () => Promise<void>): Promise<void> {
    while (this.going.size >= this.most) await Promise.race([this.failed, ...this.going])
    const going = work()
      .catch((error: unknown) => this.fail(error))
      .finally(() => this.going.delete(going))
    this.going.add(going)
  }

  /** Resolves when all has ended, well or not. */
  async ended(): Promise<void> {
    await Promise.all(this.going)
  }

  /** Resolves when all has ended well. @throws what any of it threw */
  async all(): Promise<void> {
    await this.ended()
    // One that has failed is settled before a promise that is settled now.
    await Promise.race([this.failed, Promise.resolve()])
  }
}
