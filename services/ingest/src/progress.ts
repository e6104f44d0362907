/**
 * Whether the worker gets on, for its liveness probe: one that has records to take, and has finished none for so long
 * that it is stuck, is better begun anew. A worker that tries again because PostgreSQL or Kafka is away is not stuck: a
 * new one could do no better.
 */
export class Progress {
  private lastAt: number
  private readonly stallSeconds: number
  private readonly isWaiting: () => boolean
  private readonly now: () => number

  /**
   * @param stallSeconds 0: never stuck
   * @param isWaiting whether records wait to be taken, or are in hand
   */
  constructor(stallSeconds: number, isWaiting: () => boolean, now: () => number = () => performance.now()) {
    this.stallSeconds = stallSeconds
    this.isWaiting = isWaiting
    this.now = now
    this.lastAt = now()
  }

  /** Something came, was finished, or is tried again. */
  made(): void {
    this.lastAt = this.now()
  }

  /** @throws if the worker is stuck */
  check(): void {
    const seconds = (this.now() - this.lastAt) / 1000
    if (this.stallSeconds === 0 || seconds < this.stallSeconds || !this.isWaiting()) return
    throw new Error(`records wait, and for ${Math.round(seconds)} s nothing was finished or tried again`)
  }
}
