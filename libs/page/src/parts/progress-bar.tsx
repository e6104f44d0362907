import { type Batch } from '@rates/core/batch'
import { type JSX } from 'preact'

/** How far a batch is; it moves to and fro while nobody can know. */
export function ProgressBar({ id, progress }: Pick<Batch, 'id' | 'progress'>): JSX.Element {
  const label = `Progress of ${id}`
  return progress === null ? <progress aria-label={label} /> : <progress aria-label={label} value={progress} max={1} />
}
