import { type JSX } from 'preact'

export function ExploreView({ query }: { query: URLSearchParams }): JSX.Element {
  return <h1>Explore {String(query)}</h1>
}
