import { spread, type Spread } from '@rates/scripts/bench/numbers'
import { type Outcome } from './load/outcomes.ts'
import { type PodStory } from './pod-watch.ts'

/** What was done to the system, and when; milliseconds since 1970. */
export interface Phase {
  name: string
  from: number
  to: number
  /** What else there is to say of it. */
  note?: string
}

export interface LoadFigures {
  requests: number
  retried: number
  failed: number
  /** Milliseconds of all that were answered; null where there were none. */
  spread: Spread | null
}

export interface PhaseFigures {
  phase: Phase
  reads: LoadFigures
  uploads: LoadFigures
  batches: LoadFigures
}

/** Times phases, one after the other, and tells each as it ends. */
export class Timeline {
  readonly phases: Phase[] = []
  readonly #tell: (line: string) => void

  constructor(tell: (line: string) => void = () => undefined) {
    this.#tell = tell
  }

  async during(name: string, act: () => Promise<string | void>): Promise<void> {
    const phase: Phase = { name, from: Date.now(), to: Infinity }
    this.phases.push(phase)
    try {
      const note = await act()
      if (note) phase.note = note
    } finally {
      phase.to = Date.now()
      this.#tell(`${name}: ${((phase.to - phase.from) / 1000).toFixed(0)} s${phase.note ? `, ${phase.note}` : ''}`)
    }
  }
}

/** A request belongs to the phase in which it was due. */
export function figuresOf(
  phases: readonly Phase[],
  loads: Record<'reads' | 'uploads' | 'batches', readonly Outcome[]>,
): PhaseFigures[] {
  return phases.map((phase) => {
    const within = (outcomes: readonly Outcome[]): LoadFigures =>
      loadFigures(outcomes.filter(({ at }) => at >= phase.from && at < phase.to))
    return { phase, reads: within(loads.reads), uploads: within(loads.uploads), batches: within(loads.batches) }
  })
}

export function loadFigures(outcomes: readonly Outcome[]): LoadFigures {
  const answered = outcomes.filter(({ failed }) => failed === undefined).map(({ ms }) => ms)
  return {
    requests: outcomes.length,
    retried: outcomes.filter(({ retries }) => retries > 0).length,
    failed: outcomes.filter(({ failed }) => failed !== undefined).length,
    spread: answered.length > 0 ? spread(answered) : null,
  }
}

/** Failures and retries by what was told, with how often and when first, as lines. */
export function reasons(outcomes: readonly Outcome[], phases: readonly Phase[]): string[] {
  const told = outcomes.flatMap(({ at, failed, retried }) => [
    ...(failed === undefined ? [] : [{ at, what: `failed: ${failed}` }]),
    ...(retried === undefined ? [] : [{ at, what: `sent again: ${retried}` }]),
  ])
  const key = ({ at, what }: { at: number; what: string }): string =>
    `${phases.find(({ from, to }) => at >= from && at < to)?.name ?? 'between'}: ${what}`
  return [...Map.groupBy(told, key)].map(
    ([name, all]) => `${all.length} x ${name} (first at ${new Date(all[0]!.at).toISOString()})`,
  )
}

/** Seconds from SIGTERM to the end of the process, of pods that were told to end, by component. */
export function drainTimes(pods: Iterable<PodStory>): Map<string, Spread> {
  const told = [...pods].flatMap(({ component, stopping, stopped }) =>
    stopping !== undefined && stopped !== undefined ? [{ component, seconds: (stopped - stopping) / 1000 }] : [],
  )
  const byComponent = Map.groupBy(told, ({ component }) => component)
  return new Map([...byComponent].map(([name, all]) => [name, spread(all.map(({ seconds }) => seconds))]))
}
