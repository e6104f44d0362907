import { describe, expect, it } from '@jest/globals'
import { LOOP_STAGES, type LoopStage, type StageSeconds } from '@rates/core/bottleneck'
import fc from 'fast-check'
import { FetchClock } from './fetch-clock.ts'
import { LoopClock } from './loop-clock.ts'

let time = 0
const now = (): number => time
const after = (seconds: number): void => void (time += seconds * 1000)
const total = ({ busy, idle, blocked }: StageSeconds): number =>
  busy + idle + Object.values(blocked).reduce((sum, seconds) => sum + seconds, 0)

/** A promise, and its end. */
function wait(clock: LoopClock<LoopStage>, on: 'db' | 'pool'): () => Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const waited = clock.waiting(on, promise)
  return () => {
    resolve()
    return waited
  }
}

describe('the clock of the loop', () => {
  it('gives each moment to one stage; those before it wait for it, those after it are idle', async () => {
    const stays: [string, number][] = []
    const clock = new LoopClock({ stages: LOOP_STAGES, onLeft: (...stay) => stays.push(stay), now })
    after(1)
    clock.enter('decode')
    after(2)
    clock.enter('validate')
    after(3)
    clock.enter('copy')
    after(1)
    const connected = wait(clock, 'pool')
    after(4)
    await connected()
    const stored = wait(clock, 'db')
    after(5)
    expect(clock.inDatabase).toBe(true)
    await stored()
    after(1)
    clock.enter('publish')
    const locked = wait(clock, 'db')
    after(1)
    clock.sample(true)
    after(6)
    const none = { db: 0, db_lock: 0, pool: 0, broker: 0 }
    // While the wait goes on it counts already.
    expect(clock.read()).toEqual({
      decode: { busy: 2, idle: 1, blocked: { ...none, downstream: 3 + 11 + 7 } },
      validate: { busy: 3, idle: 1 + 2, blocked: { ...none, downstream: 11 + 7 } },
      copy: { busy: 2, idle: 1 + 2 + 3, blocked: { ...none, pool: 4, db: 5, downstream: 7 } },
      publish: { busy: 0, idle: 1 + 2 + 3 + 11, blocked: { ...none, db: 1, db_lock: 6, downstream: 0 } },
    })
    await locked()
    clock.rest()
    after(10)
    expect(clock.read().copy.idle).toBe(16)
    expect(stays).toEqual([
      ['decode', 2],
      ['validate', 3],
      ['copy', 11],
      ['publish', 7],
    ])
  })

  it('believes a look at PostgreSQL until the next one, and no longer than five seconds', async () => {
    const clock = new LoopClock({ stages: LOOP_STAGES, now })
    clock.enter('copy')
    const waits = async (seconds: number): Promise<void> => {
      const end = wait(clock, 'db')
      after(seconds)
      await end()
    }
    clock.sample(true)
    await waits(1)
    await waits(2)
    clock.sample(false)
    await waits(4)
    clock.sample(true)
    after(6)
    await waits(8)
    expect(clock.read().copy.blocked).toMatchObject({ db_lock: 3, db: 12 })
  })

  it('does not count while the loop is another worker’s', () => {
    const clock = new LoopClock({ stages: ['respond'], now })
    clock.off()
    after(5)
    clock.enter('respond')
    after(2)
    clock.rest()
    after(1)
    clock.off()
    after(5)
    expect(total(clock.read().respond)).toBe(3)
    expect(clock.isOn).toBe(false)
  })

  it('loses no moment and counts none twice, whatever happens', async () => {
    const step = fc.record({
      seconds: fc.integer({ min: 0, max: 1_000 }),
      act: fc.constantFrom(...LOOP_STAGES, 'rest', 'db', 'pool', 'end', 'lock', 'free'),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const began = now()
        const clock = new LoopClock({ stages: LOOP_STAGES, now })
        const ends: (() => Promise<void>)[] = []
        for (const { seconds, act } of steps) {
          if (act === 'rest') clock.rest()
          else if (act === 'db' || act === 'pool') ends.push(wait(clock, act))
          else if (act === 'end') await ends.pop()?.()
          else if (act === 'lock' || act === 'free') clock.sample(act === 'lock')
          else clock.enter(act)
          after(seconds)
          for (const stage of LOOP_STAGES) expect(total(clock.read()[stage])).toBe((now() - began) / 1000)
        }
      }),
    )
  })
})

describe('the clock of fetching', () => {
  const records = [{ value: Buffer.alloc(3) }]

  it('tells waiting for work from waiting for the broker, and both from what is in hand', () => {
    const clock = new FetchClock(now)
    const [fast, bulk] = [clock.lane(), clock.lane()]
    fast.fetching()
    bulk.fetching()
    after(10) // nothing is known to be there
    bulk.answered(90)
    after(1)
    bulk.fetched(91)
    bulk.took(0, records, 5)
    bulk.handling(1)
    after(20)
    expect(clock.isWaiting).toBe(true)
    bulk.handling(-1)
    bulk.committing(1)
    after(2)
    bulk.committing(-1)
    bulk.fetching()
    after(30) // five records are
    bulk.answered(300)
    bulk.fetched(300)
    after(40) // there were none after all
    expect(clock.read()).toEqual({ busy: 1, idle: 50, blocked: { downstream: 20, broker: 32 } })
    expect(clock.isWaiting).toBe(false)
  })

  it('waits for a broker that holds it back, whatever is known to lie there', () => {
    const clock = new FetchClock(now)
    const lane = clock.lane()
    lane.fetching()
    lane.throttled(4_000) // by the answer
    lane.answered(1)
    lane.fetched(1)
    lane.took(0, records, 0)
    lane.handling(1)
    after(1)
    lane.handling(-1)
    lane.fetching()
    after(5) // the broker takes it after three, and answers late
    lane.answered(10)
    lane.fetched(10)
    lane.fetching()
    after(7) // as long as it likes, with nothing
    expect(clock.read()).toEqual({ busy: 0, idle: 7, blocked: { downstream: 1, broker: 5 } })
    expect(clock.isWaiting).toBe(false)
  })

  it('forgets what lies in partitions that are others’ now', () => {
    const clock = new FetchClock(now)
    const lane = clock.lane()
    lane.took(0, records, 0)
    lane.took(1, records, 7)
    expect(clock.isWaiting).toBe(true)
    lane.assigned([0])
    expect(clock.isWaiting).toBe(false)
  })

  it('counts bytes, and a fetch once', () => {
    const seen: unknown[] = []
    const lane = new FetchClock(now).lane({ records: (...args) => seen.push(args), progress: () => undefined })
    lane.fetched(250)
    lane.took(0, [...records, { value: null }], 0)
    lane.took(1, records, 0)
    expect(seen).toEqual([
      [3, 0.25],
      [3, undefined],
    ])
  })
})
