import { type Batch } from '@rates/core/batch'
import { type JSX } from 'preact'
import { duration, share } from '../../format.ts'
import { phasesOf } from './phases.ts'

const MEANS = {
  queue: 'from its first record in Kafka until a worker took it',
  load: 'until the last chunk was stored',
  publish: 'until it had its outcome',
}

/** Where a batch's time went. A part too small to be seen has three pixels, and its figure below. */
export function PhaseBar({ phases }: { phases: Batch['phases'] }): JSX.Element | null {
  const parts = phasesOf(phases)
  if (parts.length === 0) return null
  return (
    <section aria-label="Phases">
      <h2>Phases</h2>
      <div class="phase-bar" aria-hidden="true">
        {parts.map(({ name, part }) => (
          <span key={name} class={name} style={{ flexGrow: part }} />
        ))}
      </div>
      <ul class="phase-names">
        {parts.map(({ name, seconds, part }) => (
          <li key={name} class={name} title={MEANS[name]}>
            <b>{name}</b> {duration(seconds)} <span class="soft">{share(part)}</span>
          </li>
        ))}
      </ul>
    </section>
  )
}
