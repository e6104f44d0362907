import { type JSX } from 'preact'

export function BatchesView({ query }: { query: URLSearchParams }): JSX.Element {
  return <h1>Batches {String(query)}</h1>
}
