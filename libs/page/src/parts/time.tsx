import { type JSX } from 'preact'
import { ago, utc } from '../format.ts'

/** How long ago; the time itself is told to whoever points at it. */
export function Ago({ at, now }: { at: string; now: number }): JSX.Element {
  return (
    <time dateTime={at} title={utc(at)}>
      {ago(at, now)}
    </time>
  )
}
