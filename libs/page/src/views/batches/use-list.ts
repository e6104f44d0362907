import { type Batch } from '@rates/core/batch'
import { useEffect, useRef, useState } from 'preact/hooks'
import { messageOf, readJson, type BatchPage } from '../../api.ts'
import { ALL_BATCHES } from '../../live.ts'
import { endedMeanwhile } from '../../use-batches.ts'
import { useFollow } from '../../use-follow.ts'
import { matches, queryOf, type Filter } from './filter.ts'
import { append, begin, cut, EMPTY_LIST, newestOf, openRows, renew, reveal, tell, type List } from './list.ts'

export interface LiveList {
  rows: List
  /** The rows are those of the filter before: the new ones are asked for. */
  stale: boolean
  connected: boolean
  /** Why the rows could not be read. */
  refusal: string | undefined
  readingMore: boolean
  more(): void
  /** Shows what is new, and is not shown yet. */
  showNew(): void
}

const PAGE = 50

/** What was shown last, for whoever comes back to it. */
let kept: { query: string; rows: List } | undefined

/** The rows of the list, live. What is new is shown at once while that is `free` to do, or held. */
export function useList(filter: Filter, { free, back }: { free: () => boolean; back: boolean }): LiveList {
  const query = queryOf(filter)
  const [rows, setRows] = useState<List>(() => (back && kept?.query === query ? kept.rows : EMPTY_LIST))
  const [before, setBefore] = useState<List>(EMPTY_LIST)
  const [refusal, setRefusal] = useState<string>()
  const [readingMore, setReadingMore] = useState(false)
  const asking = useRef(new AbortController())
  const newest = useRef('')
  const restored = useRef(rows !== EMPTY_LIST)
  const latest = useRef(rows)
  latest.current = rows

  const fits = (batch: Batch): boolean => matches(batch, filter)
  const change = (how: (list: List) => List): void =>
    setRows((list) => {
      const changed = how(list)
      return free() && !changed.overflow ? cut(reveal(changed)) : changed
    })
  const read = async (more: string, take: (page: BatchPage) => void): Promise<void> => {
    const { signal } = asking.current
    try {
      const page = await readJson<BatchPage>(`batches?${[query, more, `limit=${PAGE}`].filter(Boolean).join('&')}`, signal)
      if (signal.aborted) return
      setRefusal(undefined)
      take(page)
    } catch (error) {
      if (!signal.aborted) setRefusal(messageOf(error))
    }
  }
  const restart = (): void => {
    asking.current.abort()
    asking.current = new AbortController()
    setReadingMore(false)
    if (latest.current.shown !== undefined) setBefore(latest.current)
    setRows(EMPTY_LIST)
    void read('', (page) => setRows((list) => begin(list, page)))
  }
  useEffect(() => {
    if (!restored.current) restart()
    restored.current = false
    return () => asking.current.abort()
  }, [query])
  useEffect(() => () => void (kept = { query: keptQuery.current, rows: latest.current }), [])
  const keptQuery = useRef(query)
  keptQuery.current = query

  const wasBack = useRef(rows !== EMPTY_LIST)
  const connected = useFollow(ALL_BATCHES, {
    onConnect: () => void (newest.current = newestOf(latest.current)),
    onBatches: (batches) => change((list) => tell(list, batches, fits)),
    onReady(told, again) {
      if (!again && !wasBack.current) return
      wasBack.current = false
      if (latest.current.shown === undefined) return restart()
      void read('', (page) => change((list) => renew(list, page, { told, newest: newest.current, fits })))
      const { signal } = asking.current
      void endedMeanwhile(openRows(latest.current), told, signal).then((ended) =>
        change((list) => tell(list, ended, fits)),
      )
    },
  })
  // What was held while somebody read is shown when that is over.
  useEffect(() => {
    const timer = setInterval(() => {
      const { held, overflow } = latest.current
      if (held.length > 0 && free()) if (overflow) restart(); else change((list) => list)
    }, 500)
    return () => clearInterval(timer)
  })
  return {
    rows: rows.shown === undefined ? before : rows,
    stale: rows.shown === undefined,
    connected,
    refusal,
    readingMore,
    more() {
      const { next } = latest.current
      if (next === null || readingMore) return
      setReadingMore(true)
      void read(next, (page) => setRows((list) => append(list, page))).finally(() => setReadingMore(false))
    },
    showNew: () => (latest.current.overflow ? restart() : setRows(reveal)),
  }
}
