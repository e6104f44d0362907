import { type JSX } from 'preact'

export function BatchView({ id, dryRun }: { id: string; dryRun: boolean }): JSX.Element {
  return <h1>{dryRun ? `Dry run ${id}` : id}</h1>
}
