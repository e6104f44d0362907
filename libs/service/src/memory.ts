import v8 from 'node:v8'
import vm from 'node:vm'

/**
 * V8 plans its next full collection by the size of the heap, and what Kafka and PostgreSQL send lies in buffers beside
 * it that count as growth: with a heap of 25 MB each 10 MB received set off a full collection, which was half of a
 * worker's CPU (docs/benchmarks.md). Here the heap may double before the next; that costs 10 MiB of memory at most.
 */
export function collectLessOften(): void {
  v8.setFlagsFromString('--heap-growing-percent=100')
}

let collect: ((options: { type: 'minor' }) => void) | undefined

/**
 * Frees what was allocated of late and is not used any more, within a millisecond or two. Who hands one buffer after the
 * other through, as a loader of objects does, fills tens of megabytes with used ones before V8 looks: it counts the heap,
 * and buffers lie beside it.
 */
export function collectYoung(): void {
  if (!collect) {
    v8.setFlagsFromString('--expose-gc')
    collect = vm.runInNewContext('gc') as typeof collect
    v8.setFlagsFromString('--no-expose-gc')
  }
  collect?.({ type: 'minor' })
}

const SAMPLE_MILLISECONDS = 50

/** This process's RSS in bytes, read again after 50 ms at the earliest: each reading costs 0.3 ms. */
export class RssSampler {
  private at = -Infinity
  private bytes = 0

  read(): number {
    const now = performance.now()
    if (now - this.at >= SAMPLE_MILLISECONDS) {
      this.at = now
      this.bytes = process.memoryUsage.rss()
    }
    return this.bytes
  }
}
