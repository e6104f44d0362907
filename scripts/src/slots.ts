/** Work of which only so much goes on at a time. The first failure stops what has not begun. */
export class Slots {
  private readonly going = new Set<Promise<void>>()
  private readonly most: number
  private fault: { error: unknown } | undefined

  constructor(most: number) {
    this.most = most
  }

  /** Resolves when the work has begun. @throws what earlier work threw */
  async begin(work: () => Promise<void>): Promise<void> {
    while (this.going.size >= this.most) await Promise.race(this.going)
    this.rethrow()
    const going = work()
      .catch((error: unknown) => void (this.fault ??= { error }))
      .finally(() => this.going.delete(going))
    this.going.add(going)
  }

  /** Resolves when all has ended. @throws what any of it threw */
  async all(): Promise<void> {
    await Promise.all(this.going)
    this.rethrow()
  }

  private rethrow(): void {
    if (this.fault) throw this.fault.error
  }
}
