import { type Batch } from '@rates/core/batch'
import { useEffect, useState } from 'preact/hooks'
import { readJson, type BatchPage } from './api.ts'
import { put, type BatchStore } from './batch-store.ts'
import { ALL_BATCHES, follow } from './live.ts'

export interface LiveBatches {
  store: BatchStore
  /** False until the first of them are there. */
  ready: boolean
  connected: boolean
}

/** How often the page is drawn again, however many events come. */
const DRAW_MILLISECONDS = 100

/** All batches that changed lately, live, and those that `pages` (queries of GET /batches) ask for besides. */
export function useBatches(pages: readonly string[]): LiveBatches {
  const [live, set] = useState<LiveBatches>({ store: new Map(), ready: false, connected: true })
  useEffect(() => {
    let waiting: Batch[] = []
    let timer: ReturnType<typeof setTimeout> | undefined
    const draw = (): void => {
      timer = undefined
      const batches = waiting
      waiting = []
      set((before) => ({ ...before, store: put(before.store, batches) }))
    }
    const take = (batches: readonly Batch[]): void => {
      waiting.push(...batches)
      timer ??= setTimeout(draw, DRAW_MILLISECONDS)
    }
    const left = new AbortController()
    const end = follow(ALL_BATCHES, {
      onBatch: (batch) => take([batch]),
      onReady: () => set((before) => ({ ...before, ready: true })),
      onConnected: (connected) => set((before) => (before.connected === connected ? before : { ...before, connected })),
    })
    for (const query of pages) {
      readJson<BatchPage>(`batches?${query}`, left.signal).then(
        ({ batches }) =>
          set((before) => ({ ...before, store: put(new Map(), [...batches, ...before.store.values()]) })),
        () => undefined, // the stream says whether the service is there
      )
    }
    return () => {
      end()
      left.abort()
      clearTimeout(timer)
    }
  }, [pages.join(' ')])
  return live
}

/** The time, once a second: for what is told as time from now. */
export function useNow(): number {
  const [now, set] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => set(Date.now()), 1000)
    return () => clearInterval(timer)
  }, [])
  return now
}
