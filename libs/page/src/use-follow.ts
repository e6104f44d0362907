import { type Batch } from '@rates/core/batch'
import { useEffect, useRef, useState } from 'preact/hooks'
import { keyOf, remember } from './batch-store.ts'
import { follow } from './live.ts'

export interface Followed {
  /** A connection was made, and nothing was told by it yet. */
  onConnect?(): void
  /** Those that were told since the last call, in the order in which they came. */
  onBatches(batches: readonly Batch[]): void
  /**
   * All that there was has been told: the batches with these keys. `again`: after another connection, so that something
   * may be missed.
   */
  onReady?(told: ReadonlySet<string>, again: boolean): void
}

/** How often the page is drawn again, however many events come. */
const DRAW_MILLISECONDS = 100

/** Follows batches while the view is shown. @returns whether the service is heard */
export function useFollow(path: string, followed: Followed): boolean {
  const [connected, setConnected] = useState(true)
  const handlers = useRef(followed)
  handlers.current = followed
  useEffect(() => {
    let waiting: Batch[] = []
    let timer: ReturnType<typeof setTimeout> | undefined
    let wasReady = false
    const told = new Set<string>()
    const hand = (): void => {
      clearTimeout(timer)
      timer = undefined
      const batches = waiting
      waiting = []
      if (batches.length > 0) handlers.current.onBatches(batches)
    }
    const end = follow(path, {
      onBatch(batch) {
        waiting.push(batch)
        remember(told, keyOf(batch))
        timer ??= setTimeout(hand, DRAW_MILLISECONDS)
      },
      onReady() {
        hand()
        handlers.current.onReady?.(told, wasReady)
        wasReady = true
      },
      onConnected(heard) {
        if (heard) {
          told.clear()
          handlers.current.onConnect?.()
        }
        setConnected(heard)
      },
    })
    return () => {
      end()
      clearTimeout(timer)
    }
  }, [path])
  return connected
}
