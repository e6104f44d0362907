import { type JSX } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { keyOf } from '../batch-store.ts'
import { plural } from '../format.ts'
import { Refusal, Stale } from '../parts/notes.tsx'
import { arrival, navigate } from '../router.ts'
import { useNow } from '../use-now.ts'
import { NO_FILTER, queryOf, readFilter, type Filter } from './batches/filter.ts'
import { Filters } from './batches/filters.tsx'
import { rowsOf } from './batches/list.ts'
import { Head, Row } from './batches/row.tsx'
import { isField, useKeys } from './batches/use-keys.ts'
import { useList } from './batches/use-list.ts'
import './batches/batches.css'

const TYPING_MILLISECONDS = 250
/** For so long after the pointer was moved over the rows, none of them moves below it. */
const POINTING_MILLISECONDS = 2000

/** The link that was followed last: whoever comes back goes on from there. */
let opened: string | null = null

/** All batches, the newest first; the filter is in the address, with the names of the API. */
export function BatchesView({ query }: { query: URLSearchParams }): JSX.Element {
  const filter = readFilter(query)
  const isFiltered = queryOf(filter) !== ''
  const [draft, setDraft] = useDraft(filter)
  const [help, setHelp] = useState(false)
  const search = useRef<HTMLInputElement>(null)
  const table = useRef<HTMLTableElement>(null)
  const pointed = useRef(0)
  const [back] = useState(() => arrival().back)
  const free = (): boolean =>
    !isFiltered &&
    scrollY < 40 &&
    performance.now() - pointed.current > POINTING_MILLISECONDS &&
    table.current?.contains(document.activeElement) !== true
  const { list, stale, connected, refusal, readingMore, more, showNew } = useList(filter, { free, back })
  const now = useNow()
  const rows = rowsOf(list)
  useEffect(() => {
    if (list.held.length > 0 && free()) showNew()
  }, [now])
  useLayoutEffect(() => {
    if (back && opened !== null) rowLinks(table.current).find(isOpened)?.focus({ preventScroll: true })
  }, [])
  useKeys((key, target) => {
    if (key === 'Escape') return clear(target)
    if (isField(target)) return key === 'ArrowDown' && target === search.current && move(table.current, 1)
    if (key === '/') search.current?.focus()
    else if (key === '?') setHelp(!help)
    else if (key === 'j' || key === 'k') return move(table.current, key === 'j' ? 1 : -1)
    else if (key === 'ArrowDown' || key === 'ArrowUp')
      return table.current?.contains(target) === true && move(table.current, key === 'ArrowDown' ? 1 : -1)
    else return false
    return true
  })
  const clear = (target: Element | null): boolean => {
    if (help) setHelp(false)
    else if (queryOf(draft) !== '') setDraft(NO_FILTER)
    else if (target instanceof HTMLElement && target !== document.body) target.blur()
    else return false
    return true
  }
  const sources = [...new Set(rows.flatMap(({ source }) => (source === null ? [] : [source])))].sort()
  return (
    <>
      <Stale connected={connected} />
      <h1 class="aside">Batches</h1>
      <Filters filter={draft} sources={sources} search={search} onChange={setDraft} onHelp={() => setHelp(!help)} />
      {help && <Help />}
      {refusal !== undefined && <Refusal>{refusal}</Refusal>}
      <p class="news">
        {list.held.length > 0 && (
          <button type="button" class="pill" onClick={() => (showNew(), scrollTo(0, 0))}>
            {list.overflow ? `more than ${list.held.length}` : list.held.length} new
          </button>
        )}
      </p>
      {/* Told once, and not with each number. */}
      <p class="aside" role="status">
        {list.held.length > 0 && 'There are new batches.'}
      </p>
      {rows.length > 0 ? (
        <table
          ref={table}
          class={stale ? 'batches stale-rows' : 'batches'}
          aria-busy={stale}
          onClick={({ target }) => (opened = (target as Element).closest('a')?.getAttribute('href') ?? null)}
          onPointerMove={({ pointerType }) => pointerType === 'mouse' && (pointed.current = performance.now())}
        >
          <caption class="aside">Batches, the newest first</caption>
          <Head />
          <tbody>
            {rows.map((batch) => (
              <Row key={keyOf(batch)} batch={batch} query={filter.q} now={now} />
            ))}
          </tbody>
        </table>
      ) : (
        <None asking={stale && refusal === undefined} filtered={isFiltered} onClear={() => setDraft(NO_FILTER)} />
      )}
      <footer class="below">
        {list.next !== null && !stale && <More busy={readingMore} onMore={more} />}
        <span class="soft">
          {rows.length > 0 && (list.next === null ? `${plural(rows.length, 'batch', 'batches')}, that is all` : '')}
        </span>
        <a href={`batches?${[queryOf(filter), 'format=json'].filter((part) => part !== '').join('&')}`} data-leave>
          JSON
        </a>
      </footer>
    </>
  )
}

/** What is typed; it becomes the filter when there was a pause, and everything else at once. */
function useDraft(filter: Filter): [Filter, (filter: Filter) => void] {
  const address = queryOf(filter)
  const [draft, set] = useState(filter)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const sent = useRef(address)
  const go = (to: Filter): void => {
    sent.current = queryOf(to)
    navigate(sent.current === '' ? 'batches' : `batches?${sent.current}`, 'replace')
  }
  useEffect(() => {
    if (address === sent.current) return
    // By a link, or by going back.
    sent.current = address
    set(filter)
  }, [address])
  useEffect(() => () => clearTimeout(timer.current), [])
  const change = (to: Filter): void => {
    set(to)
    clearTimeout(timer.current)
    const typed = to.q !== draft.q || to.source !== draft.source
    if (typed && queryOf(to) !== '') timer.current = setTimeout(() => go(to), TYPING_MILLISECONDS)
    else go(to)
  }
  return [draft, change]
}

const rowLinks = (table: HTMLTableElement | null): HTMLElement[] => [
  ...(table?.querySelectorAll<HTMLElement>('a.row-link') ?? []),
]
const isOpened = (link: HTMLElement): boolean => link.getAttribute('href') === opened

/** Moves the focus to another row. */
function move(table: HTMLTableElement | null, by: 1 | -1): boolean {
  const links = rowLinks(table)
  const at = links.findIndex((link) => link === document.activeElement)
  const next = links[at === -1 ? (by === 1 ? 0 : -1) : at + by]
  if (next === undefined) return at !== -1
  next.focus({ preventScroll: true })
  next.closest('tr')?.scrollIntoView({ block: 'nearest' })
  return true
}

/** Reads on when it is seen, once somebody has scrolled down. */
function More({ busy, onMore }: { busy: boolean; onMore: () => void }): JSX.Element {
  const button = useRef<HTMLButtonElement>(null)
  const read = useRef(onMore)
  read.current = onMore
  useEffect(() => {
    const watch = new IntersectionObserver(([seen]) => seen?.isIntersecting === true && scrollY > 0 && read.current(), {
      rootMargin: '300px',
    })
    watch.observe(button.current!)
    return () => watch.disconnect()
  }, [busy])
  return (
    <button ref={button} type="button" disabled={busy} onClick={onMore}>
      {busy ? 'Asking…' : 'More'}
    </button>
  )
}

function None({ asking, filtered, onClear }: { asking: boolean; filtered: boolean; onClear: () => void }): JSX.Element {
  if (asking) return <p class="note">Asking…</p>
  if (!filtered) return <p class="note">There is no batch yet.</p>
  return (
    <p class="note">
      No batch is so.{' '}
      <button type="button" class="small" onClick={onClear}>
        Show all
      </button>
    </p>
  )
}

const KEYS = [
  ['/', 'search'],
  ['j k ↓ ↑', 'along the rows'],
  ['Enter', 'opens the row'],
  ['Esc', 'clears the filter'],
  ['?', 'this line'],
] as const

function Help(): JSX.Element {
  return (
    <p class="keys">
      {KEYS.map(([key, does]) => (
        <span key={key}>
          {key.split(' ').map((each) => (
            <kbd key={each}>{each}</kbd>
          ))}{' '}
          {does}
        </span>
      ))}
    </p>
  )
}
