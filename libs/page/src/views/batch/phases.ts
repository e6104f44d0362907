import { type Batch } from '@rates/core/batch'

export interface Phase {
  name: 'queue' | 'load' | 'publish'
  seconds: number
  /** Of all of them together, 0 to 1. */
  part: number
}

/** The phases whose length is known. */
export function phasesOf({ queueSeconds, loadSeconds, publishSeconds }: Batch['phases']): Phase[] {
  const named = { queue: queueSeconds, load: loadSeconds, publish: publishSeconds }
  const all = Object.values(named).reduce<number>((sum, seconds) => sum + (seconds ?? 0), 0)
  return (Object.keys(named) as (keyof typeof named)[]).flatMap((name) => {
    const seconds = named[name]
    return seconds === null ? [] : [{ name, seconds, part: all === 0 ? 0 : seconds / all }]
  })
}
