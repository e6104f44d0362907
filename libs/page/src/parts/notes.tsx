import { type ComponentChildren, type JSX } from 'preact'

/** The service is not heard; what is shown is what it said last. */
export function Stale({ connected }: { connected: boolean }): JSX.Element | null {
  return connected ? null : (
    <p class="stale" role="status">
      The service is not heard: this is what it said last. Trying again…
    </p>
  )
}

/** Something was refused. */
export function Refusal({ children }: { children: ComponentChildren }): JSX.Element {
  return (
    <p class="refusal" role="alert">
      {children}
    </p>
  )
}
