import { describe, expect, it } from '@jest/globals'
import {
  bottleneck,
  LOOP_STAGES,
  stageParts,
  STAGES,
  type LoopStage,
  type Stage,
  type StageSeconds,
  type WaitingFor,
  type WorkerSeconds,
} from './bottleneck.ts'

type Part = readonly [stage: LoopStage, on: 'cpu' | WaitingFor, seconds: number]

/** A minute of a worker whose loop spent its time like this, and was idle for the rest. */
function minute(
  parts: readonly Part[],
  others: Partial<Record<'fetch' | 'respond', StageSeconds>> = {},
): WorkerSeconds {
  const sum = (some: readonly Part[]): number => some.reduce((all, [, , seconds]) => all + seconds, 0)
  const seconds: WorkerSeconds = { fetch: idle(60), respond: idle(60), ...others }
  LOOP_STAGES.forEach((stage, i) => {
    const of = (on: Part[1]): number => sum(parts.filter((part) => part[0] === stage && part[1] === on))
    const before = sum(parts.filter((part) => LOOP_STAGES.indexOf(part[0]) < i))
    const downstream = sum(parts.filter((part) => LOOP_STAGES.indexOf(part[0]) > i))
    const blocked = { db: of('db'), db_lock: of('db_lock'), pool: of('pool'), broker: of('broker'), downstream }
    seconds[stage] = { busy: of('cpu'), idle: 60 - sum(parts) + before, blocked }
  })
  return seconds
}

const idle = (seconds: number): StageSeconds => ({ busy: 0, idle: seconds, blocked: {} })
const zero = (): WorkerSeconds => Object.fromEntries(STAGES.map((stage): [Stage, StageSeconds] => [stage, idle(0)]))

const judge = (...workers: WorkerSeconds[]) =>
  bottleneck(
    stageParts(
      new Map(workers.map((_, i) => [`worker-${i}`, zero()])),
      new Map(workers.map((worker, i) => [`worker-${i}`, worker])),
    ),
  )

describe('the bottleneck', () => {
  it('is none where nothing is done', () => {
    expect(judge(minute([]))).toBeUndefined()
    expect(judge()).toBeUndefined()
  })

  it('is none as long as the loop has time left', () => {
    expect(judge(minute([['copy', 'db', 20], ['validate', 'cpu', 9]]))).toBeUndefined() // prettier-ignore
  })

  it.each<[what: string, parts: Part[], stage: Stage, cause: string, score: number]>([
    ['parsing takes all of the CPU', [['validate', 'cpu', 45], ['copy', 'db', 9], ['decode', 'cpu', 3]], 'validate', 'cpu', 0.75],
    ['PostgreSQL is slow to write', [['copy', 'db', 42], ['copy', 'cpu', 6], ['validate', 'cpu', 9]], 'copy', 'db', 0.8],
    ['somebody holds a lock', [['publish', 'db_lock', 54], ['publish', 'db', 3]], 'publish', 'db_lock', 0.95],
    ['the pool is too small', [['copy', 'pool', 30], ['copy', 'db', 15], ['validate', 'cpu', 6]], 'copy', 'pool', 0.75],
    ['it is spread over all', [['decode', 'cpu', 14], ['validate', 'cpu', 15], ['copy', 'db', 16], ['publish', 'db', 14]], 'copy', 'db', 16 / 60],
  ])('is named where %s', (_, parts, stage, cause, score) => {
    const verdict = judge(minute(parts))
    expect(verdict).toMatchObject({ stage, cause })
    expect(verdict!.score).toBeCloseTo(score)
  }) // prettier-ignore

  it('is fetching where the broker is slow, by its own score alone', () => {
    const waits = (broker: number): StageSeconds => ({ busy: 1, idle: 59 - broker, blocked: { broker } })
    const work: Part[] = [['copy', 'db', 12]]
    expect(judge(minute(work, { fetch: waits(48) }))).toMatchObject({
      stage: 'fetch',
      cause: 'broker',
      score: expect.closeTo(49 / 60),
    })
    expect(judge(minute(work, { fetch: waits(28) }))).toBeUndefined()
  })

  it('is never a stage that waits for the one behind it', () => {
    const fetch = { busy: 0, idle: 0, blocked: { downstream: 60 } }
    expect(judge(minute([['publish', 'db', 36]], { fetch }))).toMatchObject({
      stage: 'publish',
      cause: 'db',
      score: 0.6,
    })
  })

  it('is of all workers together', () => {
    const busy = minute([['validate', 'cpu', 54]])
    expect(judge(busy, minute([]))).toBeUndefined()
    expect(judge(busy, minute([['copy', 'db', 30]]))).toMatchObject({ stage: 'validate', score: 0.45 })
  })

  it('counts from nothing where a worker began anew, and not at all where it was seen once', () => {
    const earlier = new Map([
      ['again', minute([['copy', 'db', 60]])],
      ['gone', minute([['copy', 'db', 60]])],
    ])
    const after: WorkerSeconds = { ...zero(), validate: { busy: 9, idle: 1, blocked: { db: 0 } }, copy: idle(10) }
    const parts = stageParts(earlier, new Map([['again', after], ['new', minute([['publish', 'db', 60]])]])) // prettier-ignore
    expect(parts.get('validate')).toEqual({ cpu: 0.9, db: 0, db_lock: 0, pool: 0, broker: 0 })
    expect(bottleneck(parts)).toEqual({ stage: 'validate', cause: 'cpu', score: 0.9 })
  })
})
