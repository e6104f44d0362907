import { type Batch } from '@rates/core/batch'
import { useEffect, useRef, useState } from 'preact/hooks'
import { readJson, type BatchPage } from './api.ts'
import { isOpen, keyOf, put, type BatchStore } from './batch-store.ts'
import { inTurns } from './in-turns.ts'
import { ALL_BATCHES } from './live.ts'
import { batchPath } from './routes.ts'
import { useFollow } from './use-follow.ts'

const ASKED_AT_ONCE = 50

export interface LiveBatches {
  store: BatchStore
  /** False until all that there is has been told. */
  ready: boolean
  connected: boolean
}

/** All batches that changed lately, live, and those that `pages` (queries of GET /batches) ask for besides. */
export function useBatches(pages: readonly string[]): LiveBatches {
  const [store, set] = useState<BatchStore>(new Map())
  const [pagesAre, setPages] = useState<'asked' | 'there' | 'missing'>('asked')
  const left = useRef(new AbortController())
  const keys = useRef<ReadonlySet<string>>(new Set())
  const [readies, setReadies] = useState(0)
  useEffect(() => {
    left.current = new AbortController()
    void readPages()
    return () => left.current.abort()
  }, [])
  const add = (batches: readonly Batch[]): void => set((before) => put(before, batches))
  /** What an answer says may be older than what the stream has said meanwhile. */
  const addOlder = (batches: readonly Batch[]): void =>
    set((before) => put(new Map(), [...batches, ...before.values()]))
  const readPages = async (): Promise<void> => {
    try {
      const { signal } = left.current
      const answers = await Promise.all(pages.map((query) => readJson<BatchPage>(`batches?${query}`, signal)))
      addOlder(answers.flatMap(({ batches }) => batches))
      setPages('there')
    } catch {
      setPages('missing') // the stream says whether the service is there, and when to ask again
    }
  }
  const connected = useFollow(ALL_BATCHES, {
    onBatches: add,
    onReady(told) {
      keys.current = told
      setReadies((n) => n + 1)
      void readPages() // once more: what came and ended between the reading and the connection was told by neither
    },
  })
  // All that are open are told when the connection is made: one that is not was read before it ended.
  useEffect(() => {
    if (readies > 0) void endedMeanwhile(store.values(), keys.current, left.current.signal).then(add)
  }, [readies, pagesAre])
  return { store, ready: readies > 0 && pagesAre === 'there', connected }
}

/** Ones that were open and are not told as open any more: what became of them. */
export async function endedMeanwhile(
  batches: Iterable<Batch>,
  told: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<Batch[]> {
  const isMissed = (batch: Batch): boolean => !told.has(keyOf(batch))
  const missed = [...batches].filter((batch) => isOpen(batch) && isMissed(batch))
  const read = (batch: Batch): Promise<Batch> => readJson<Batch>(batchPath(batch), signal)
  return (await inTurns(missed, ASKED_AT_ONCE, read)).filter(isMissed)
}
