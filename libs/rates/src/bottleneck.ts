/**
 * Which stage of ingesting is the bottleneck, and why: from what the workers say of their time (docs/metrics.md has the
 * model). The recording rules of Prometheus reckon the same.
 */
export const STAGES = ['fetch', 'decode', 'validate', 'copy', 'publish', 'respond'] as const
export type Stage = (typeof STAGES)[number]

/** The stages that share a worker's one loop: it is in one of them at a time. */
export const LOOP_STAGES = ['decode', 'validate', 'copy', 'publish'] as const satisfies readonly Stage[]
export type LoopStage = (typeof LOOP_STAGES)[number]

/** What a stage may wait for and be the bottleneck by; to wait for its `downstream` is no fault of its own. */
export const CAUSES = ['cpu', 'db', 'db_lock', 'pool', 'broker'] as const
export type Cause = (typeof CAUSES)[number]
export type WaitingFor = Exclude<Cause, 'cpu'>

/** Seconds since the worker started. Together: workers of the stage times the time that has passed. */
export interface StageSeconds {
  busy: number
  idle: number
  blocked: Partial<Record<WaitingFor | 'downstream', number>>
}

/** What one worker says of its stages. */
export type WorkerSeconds = Partial<Record<Stage, StageSeconds>>

/** Parts of the stage's time, of all workers together, up to 1. */
export type StageParts = Readonly<Record<Cause, number>>

export interface Verdict {
  stage: Stage
  cause: Cause
  /** The part of the stage's time in which it did something or waited for something. */
  score: number
}

/** Above this there is a bottleneck. */
export const BOTTLENECK_SCORE = 0.5

/**
 * How the time between two looks at the workers was spent. A worker that is missing in one of them does not count; a
 * counter that has become less began anew in between, as Prometheus' rate() has it. Stages without any time are left out.
 */
export function stageParts(
  earlier: ReadonlyMap<string, WorkerSeconds>,
  later: ReadonlyMap<string, WorkerSeconds>,
): Map<Stage, StageParts> {
  const parts = new Map<Stage, StageParts>()
  for (const stage of STAGES) {
    const sums: Record<Cause, number> = { cpu: 0, db: 0, db_lock: 0, pool: 0, broker: 0 }
    let all = 0
    for (const [worker, stages] of later) {
      const [before, after] = [earlier.get(worker)?.[stage], stages[stage]]
      if (!before || !after) continue
      all += increase(before.idle, after.idle)
      for (const cause of [...CAUSES, 'downstream'] as const) {
        const seconds = increase(secondsOf(before, cause), secondsOf(after, cause))
        all += seconds
        if (cause !== 'downstream') sums[cause] += seconds
      }
    }
    if (all > 0)
      parts.set(
        stage,
        each((cause) => sums[cause] / all),
      )
  }
  return parts
}

/**
 * The stage with the highest score. The stages of the loop share its time, so it is their scores together that have to
 * exceed the limit, and each of the others' by itself. @returns undefined if nothing is the bottleneck
 */
export function bottleneck(parts: ReadonlyMap<Stage, StageParts>): Verdict | undefined {
  const scores = new Map([...parts].map(([stage, each]) => [stage, scoreOf(each)]))
  const loop = LOOP_STAGES.reduce((sum, stage) => sum + (scores.get(stage) ?? 0), 0)
  let verdict: Verdict | undefined
  for (const [stage, score] of scores) {
    const whole = (LOOP_STAGES as readonly Stage[]).includes(stage) ? loop : score
    if (whole <= BOTTLENECK_SCORE || score <= (verdict?.score ?? 0)) continue
    verdict = { stage, cause: largest(parts.get(stage)!), score }
  }
  return verdict
}

export const scoreOf = (parts: StageParts): number => CAUSES.reduce((sum, cause) => sum + parts[cause], 0)

const largest = (parts: StageParts): Cause =>
  CAUSES.reduce((most, cause) => (parts[cause] > parts[most] ? cause : most))

const secondsOf = ({ busy, blocked }: StageSeconds, cause: Cause | 'downstream'): number =>
  cause === 'cpu' ? busy : (blocked[cause] ?? 0)

const increase = (before: number, after: number): number => (after < before ? after : after - before)

const each = (part: (cause: Cause) => number): StageParts =>
  Object.fromEntries(CAUSES.map((cause) => [cause, part(cause)])) as Record<Cause, number>
