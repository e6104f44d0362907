import {
  bottleneck,
  CAUSES,
  STAGES,
  stageParts,
  type Stage,
  type StageSeconds,
  type Verdict,
  type WorkerSeconds,
} from '@rates/core/bottleneck'

/** What a worker wrote at a moment: the seconds of its stages since its start. */
export interface Sample {
  worker: string
  /** Milliseconds since 1970, by PostgreSQL's clock. */
  at: number
  seconds: WorkerSeconds
}

export interface Window {
  /** What the workers that wrote something did together. */
  seconds: Record<Stage, StageSeconds>
  workers: number
  verdict: Verdict | undefined
  /** Milliseconds since 1970, no earlier than the samples: since when the verdict has been this one. */
  since: number | undefined
}

/** As long as the recording rules'. */
export const WINDOW_MS = 60_000
const STEP_MS = 5_000

/** What a worker did between two of its samples. */
interface Interval {
  worker: string
  until: number
  seconds: Record<Stage, StageSeconds>
}

/** The last minute. Samples are in the order of workers and times. */
export function lastWindow(samples: readonly Sample[], now: number): Window {
  const intervals = intervalsOf(samples)
  const recent = within(intervals, now)
  const verdict = verdictAt(intervals, now)
  return {
    seconds: perStage((stage) => combine(recent.map(({ seconds }) => seconds[stage]))),
    workers: new Set(recent.map(({ worker }) => worker)).size,
    verdict,
    since: verdict && sinceWhen(intervals, verdict, now),
  }
}

function verdictAt(intervals: readonly Interval[], end: number): Verdict | undefined {
  const recent = within(intervals, end).map(({ seconds }) => seconds)
  const start = perStage<StageSeconds>(() => ({ busy: 0, idle: 0, blocked: {} }))
  const sums = perStage((stage) => combine(recent.map((seconds) => seconds[stage])))
  return bottleneck(stageParts(new Map([['all', start]]), new Map([['all', sums]])))
}

/** The samples go back some minutes, and so does this. */
function sinceWhen(intervals: readonly Interval[], { stage, cause }: Verdict, now: number): number {
  for (let at = now - STEP_MS; ; at -= STEP_MS) {
    const before = verdictAt(intervals, at)
    if (before?.stage !== stage || before.cause !== cause) return at + STEP_MS
  }
}

const within = (intervals: readonly Interval[], end: number): Interval[] =>
  intervals.filter(({ until }) => until <= end && until > end - WINDOW_MS)

function intervalsOf(samples: readonly Sample[]): Interval[] {
  return samples.flatMap(({ worker, at, seconds: after }, i) => {
    const before = samples[i - 1]
    if (before?.worker !== worker) return []
    const seconds = perStage((stage) => combine([after[stage]], before.seconds[stage]))
    // One that was started anew under its old name counts from zero: what it did in between is not known.
    return isBackwards(seconds) ? [] : [{ worker, until: at, seconds }]
  })
}

const perStage = <T>(value: (stage: Stage) => T): Record<Stage, T> =>
  Object.fromEntries(STAGES.map((stage) => [stage, value(stage)])) as Record<Stage, T>

const WAITS = [...CAUSES.filter((cause) => cause !== 'cpu'), 'downstream'] as const

/** The sum of some, less another one. */
function combine(some: readonly (StageSeconds | undefined)[], less?: StageSeconds): StageSeconds {
  const sum = (value: (each: StageSeconds) => number | undefined): number =>
    some.reduce((all, each) => all + ((each && value(each)) ?? 0), 0) - ((less && value(less)) ?? 0)
  return {
    busy: sum(({ busy }) => busy),
    idle: sum(({ idle }) => idle),
    blocked: Object.fromEntries(WAITS.map((on) => [on, sum(({ blocked }) => blocked[on])])),
  }
}

/** By more than what rounding takes off. */
const isBackwards = (seconds: Record<Stage, StageSeconds>): boolean =>
  Object.values(seconds).some(({ busy, idle, blocked }) => Math.min(busy, idle, ...Object.values(blocked)) < -0.1)
