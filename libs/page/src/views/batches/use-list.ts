import { type Batch } from '@rates/core/batch'
import { useEffect, useRef, useState } from 'preact/hooks'
import { messageOf, readJson, type BatchPage } from '../../api.ts'
import { ALL_BATCHES } from '../../live.ts'
import { endedMeanwhile } from '../../use-batches.ts'
import { useFollow } from '../../use-follow.ts'
import { matches, queryOf, type Filter } from './filter.ts'
import { append, begin, cut, EMPTY_LIST, newestOf, openRows, renew, reveal, tell, type List } from './list.ts'

export interface LiveList {
  list: List
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
let kept: { query: string; list: List } | undefined

/** The rows of the list, live. What is new is shown at once while that is `free` to do, or held. */
export function useList(filter: Filter, { free, back }: { free: () => boolean; back: boolean }): LiveList {
  const query = queryOf(filter)
  const [list, setList] = useState<List>(() => (back && kept?.query === query ? kept.list : EMPTY_LIST))
  const [before, setBefore] = useState(list)
  const [refusal, setRefusal] = useState<string>()
  const [readingMore, setReadingMore] = useState(false)
  const asking = useRef(new AbortController())
  const newest = useRef('')
  /** Keys of what the connection has told; undefined until it has told all that there is. */
  const told = useRef<ReadonlySet<string>>(undefined)
  const [readies, setReadies] = useState(0)
  /** The rows are from an earlier visit. */
  const returned = useRef(list.shown !== undefined)
  const first = useRef(true)
  const latest = useRef({ query, list })
  latest.current = { query, list }

  const fits = (batch: Batch): boolean => matches(batch, filter)
  const change = (how: (list: List) => List): void =>
    setList((now) => {
      const changed = how(now)
      return free() && !changed.overflow ? cut(reveal(changed)) : changed
    })
  const read = async (more: string, take: (page: BatchPage) => void): Promise<void> => {
    const { signal } = asking.current
    const asked = [query, more, `limit=${PAGE}`].filter((part) => part !== '').join('&')
    try {
      const page = await readJson<BatchPage>(`batches?${asked}`, signal)
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
    if (list.shown !== undefined) setBefore(list)
    setList(EMPTY_LIST)
    void read('', (page) => setList((now) => (now.shown === undefined ? begin(now, page) : now)))
  }
  useEffect(() => {
    if (!first.current) returned.current = false // another filter: what was kept is not for it
    first.current = false
    if (!returned.current) restart()
    return () => asking.current.abort()
  }, [query])
  useEffect(() => () => void (kept = latest.current), [])

  const connected = useFollow(ALL_BATCHES, {
    onConnect() {
      newest.current = newestOf(list)
      told.current = undefined
    },
    onBatches: (batches) => change((now) => tell(now, batches, fits)),
    onReady(keys, again) {
      const missed = again || returned.current
      returned.current = false
      told.current = keys
      setReadies((n) => n + 1)
      if (list.shown === undefined && refusal !== undefined) return restart()
      // Also at first: what came and ended between the reading and the connection was told by neither.
      void read('', (page) =>
        change((now) => {
          if (now.shown === undefined) return begin(now, page)
          return renew(now, page, { told: keys, newest: missed ? newest.current : newestOf(now), fits })
        }),
      )
    },
  })
  // All that are open are told when the connection is made: a row that is not was read before its batch ended.
  useEffect(() => {
    if (told.current === undefined) return
    void endedMeanwhile(openRows(list), told.current, asking.current.signal).then((ended) => {
      if (ended.length > 0) change((now) => tell(now, ended, fits))
    })
  }, [list.shown, readies])
  const showNew = (): void => (list.overflow ? restart() : setList(reveal))
  return {
    list: list.shown === undefined ? before : list,
    stale: list.shown === undefined,
    connected,
    refusal,
    readingMore,
    more() {
      if (list.next === null || readingMore) return
      setReadingMore(true)
      void read(list.next, (page) => setList((now) => append(now, page))).finally(() => setReadingMore(false))
    },
    showNew,
  }
}
