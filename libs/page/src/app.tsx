import { type JSX } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { arrival, useRoute } from './router.ts'
import { later } from './later.tsx'
import { type Route } from './routes.ts'
import { BatchView } from './views/batch.tsx'
import { BatchesView } from './views/batches.tsx'
import { OverviewView } from './views/overview.tsx'
import { UploadView } from './views/upload.tsx'

/** It brings the chart, which is a third of all scripts. */
const ExploreView = later(async () => (await import('./views/explore.tsx')).ExploreView)

const PLACES: readonly { view: Route['view']; href: string; name: string }[] = [
  { view: 'overview', href: './', name: 'Overview' },
  { view: 'batches', href: 'batches', name: 'Batches' },
  { view: 'upload', href: 'upload', name: 'Upload' },
  { view: 'explore', href: 'explore', name: 'Rates' },
]

export function App(): JSX.Element {
  const route = useRoute()
  const main = useRef<HTMLElement>(null)
  const first = useRef(true)
  const place = route.view === 'batch' ? `batch ${route.id}` : route.view
  useLayoutEffect(() => {
    document.title = titleOf(route)
    if (first.current) {
      first.current = false
      return
    }
    // Whoever listens to the page is told that it has changed, unless the view knows a better place in it.
    if (!main.current?.contains(document.activeElement)) main.current?.focus({ preventScroll: true })
    scrollTo(0, arrival().scroll)
  }, [place])
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => skipTo(event, main.current)}>
        To the content
      </a>
      <header class="bar">
        <nav aria-label="Page">
          <a class="brand" href="./" aria-label="Rates, overview">
            <svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true">
              <rect width="16" height="16" rx="3" />
              <path d="M3 12V8h2v4zm4 0V4h2v8zm4 0V6h2v6z" />
            </svg>
            <span>Rates</span>
          </a>
          {PLACES.map(({ view, href, name }) => (
            <a key={view} href={href} aria-current={isAt(route, view) ? 'page' : undefined}>
              {name}
            </a>
          ))}
          <span class="spring" />
          <a href="bottleneck">Bottleneck</a>
          <a href="docs">API</a>
        </nav>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {viewOf(route)}
      </main>
    </>
  )
}

/** By itself the link would lead to where the service begins: <base> is absolute. */
function skipTo(event: Event, content: HTMLElement | null): void {
  event.preventDefault()
  content?.focus()
}

const isAt = (route: Route, view: Route['view']): boolean =>
  route.view === view || (route.view === 'batch' && view === 'batches')

function viewOf(route: Route): JSX.Element {
  switch (route.view) {
    case 'overview':
      return <OverviewView />
    case 'batches':
      return <BatchesView query={route.query} />
    case 'batch':
      return <BatchView key={`${route.id} ${route.dryRun}`} id={route.id} dryRun={route.dryRun} />
    case 'upload':
      return <UploadView />
    case 'explore':
      return <ExploreView query={route.query} />
    case 'unknown':
      return <h1>There is no such page</h1>
  }
}

function titleOf(route: Route): string {
  if (route.view === 'batch') return `${route.id} – Rates`
  const name = PLACES.find(({ view }) => view === route.view)?.name
  return name === undefined || route.view === 'overview' ? 'Rates' : `${name} – Rates`
}
