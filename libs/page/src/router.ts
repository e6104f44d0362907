import { useEffect, useState } from 'preact/hooks'
import { locate, type Route } from './routes.ts'

// The server tells by <base> where the service begins; it is fixed here, before the first change of the address.
const base = document.querySelector('base')!
base.href = document.baseURI
const root = new URL(document.baseURI).pathname

const current = (): Route => locate(location.pathname.slice(root.length), new URLSearchParams(location.search))

const listeners = new Set<() => void>()
const changed = (): void => listeners.forEach((listener) => listener())

/** How a place was reached, and how far down it was read when it was left. */
export interface Arrival {
  back: boolean
  scroll: number
}

// A view is drawn after the browser would have scrolled to where it was left.
history.scrollRestoration = 'manual'
const entryOf = (state: unknown): number => (state as { entry?: number } | null)?.entry ?? 0
const scrolled = new Map<number, number>()
let entry = entryOf(history.state)
let last: Arrival = { back: false, scroll: 0 }

export const arrival = (): Arrival => last

addEventListener('popstate', ({ state }) => {
  scrolled.set(entry, scrollY)
  entry = entryOf(state)
  last = { back: true, scroll: scrolled.get(entry) ?? 0 }
  changed()
})

/** Goes to a place of the page, as a link would; `replace` leaves no entry in the history. */
export function navigate(to: string, how: 'push' | 'replace' = 'push'): void {
  const url = new URL(to, document.baseURI)
  if (how === 'replace') history.replaceState({ entry }, '', url)
  else {
    scrolled.set(entry, scrollY)
    history.pushState({ entry: ++entry }, '', url)
    last = { back: false, scroll: 0 }
  }
  changed()
}

/** Where the page is, kept up to date. */
export function useRoute(): Route {
  const [route, set] = useState(current)
  useEffect(() => {
    const update = (): void => set(current())
    listeners.add(update)
    update()
    return () => void listeners.delete(update)
  }, [])
  return route
}

/** Links within the page do not load it anew; all others, and those opened in another tab, are the browser's. */
addEventListener('click', (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return
  const link = (event.target as Element | null)?.closest('a')
  if (!link || link.target !== '' || link.hasAttribute('download') || link.dataset['leave'] !== undefined) return
  const url = new URL(link.href)
  if (url.origin !== location.origin || !url.pathname.startsWith(root)) return
  if (locate(url.pathname.slice(root.length), url.searchParams).view === 'unknown') return
  if (url.hash !== '' && url.pathname === location.pathname) return
  event.preventDefault()
  navigate(url.href)
})
