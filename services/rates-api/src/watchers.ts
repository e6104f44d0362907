import { Gauge, type Registry } from 'prom-client'
import { Problem } from './problem.ts'

export type WatcherKind = 'wait' | 'stream'

/** The callers that wait for something to happen: no more of them than there may be, and none while the process ends. */
export class Watchers {
  readonly #atOnce: number
  readonly #gauge: Gauge<'kind'>
  readonly #inside = new Set<() => void>()
  #leaving = false

  constructor(atOnce: number, registry: Registry) {
    this.#atOnce = atOnce
    this.#gauge = new Gauge({
      name: 'rates_watchers',
      help: 'Callers that wait for a batch or its chunks, or follow batches.',
      labelNames: ['kind'],
      registers: [registry],
    })
    for (const kind of ['wait', 'stream'] as const) this.#gauge.set({ kind }, 0)
  }

  /**
   * @param onLeave sends the caller away: it comes again, to another process
   * @returns what lets the next one in @throws Problem 503
   */
  enter(kind: WatcherKind, onLeave: () => void): () => void {
    if (this.#inside.size >= this.#atOnce) {
      throw new Problem(503, `${this.#atOnce} callers wait or follow batches already.`, {
        headers: { 'retry-after': '5' },
      })
    }
    const leave = (): void => onLeave()
    this.#inside.add(leave)
    this.#gauge.inc({ kind })
    if (this.#leaving) queueMicrotask(leave)
    return () => {
      if (this.#inside.delete(leave)) this.#gauge.dec({ kind })
    }
  }

  /** Sends all away, and whoever comes from now on. */
  leave(): void {
    this.#leaving = true
    for (const leave of [...this.#inside]) leave()
  }
}
