import { describe, expect, it } from '@jest/globals'
import { type StageSeconds, type WorkerSeconds } from '@rates/core/bottleneck'
import { lastWindow, type Sample } from './bottleneck-window.ts'

const NOW = 1_000_000_000_000
type Doing = (second: number) => [stage: 'decode' | 'copy' | 'publish', on: 'cpu' | 'db' | 'db_lock'] | undefined

/** A worker that samples every 5 s and does one thing in each second; undefined: it waits for work. */
function worker(name: string, from: number, until: number, doing: Doing): Sample[] {
  const stages = ['decode', 'copy', 'publish'] as const
  const total = new Map<string, StageSeconds>(
    stages.map((stage) => [stage, { busy: 0, idle: 0, blocked: {} as StageSeconds['blocked'] }]),
  )
  const samples: Sample[] = []
  for (let second = from; second <= until; second++) {
    const [now, on] = doing(second) ?? []
    for (const [at, stage] of stages.entries()) {
      const sum = total.get(stage)!
      const { blocked } = sum
      if (now === undefined || at > stages.indexOf(now)) sum.idle++
      else if (stage !== now) blocked.downstream = (blocked.downstream ?? 0) + 1
      else if (on === 'cpu') sum.busy++
      else blocked[on!] = (blocked[on!] ?? 0) + 1
    }
    if ((second - from) % 5 === 0) {
      const seconds = structuredClone(Object.fromEntries(total)) as WorkerSeconds
      samples.push({ worker: name, at: NOW + second * 1000, seconds })
    }
  }
  return samples
}

describe('lastWindow', () => {
  it('names what kept the workers of the last minute, together', () => {
    const samples = [
      ...worker('a', -200, 0, () => ['copy', 'db']),
      ...worker('b', -200, 0, (second) => (second % 2 ? ['copy', 'db_lock'] : ['decode', 'cpu'])),
    ]
    const { verdict, workers, seconds } = lastWindow(samples, NOW)
    expect(workers).toBe(2)
    expect(verdict).toMatchObject({ stage: 'copy', cause: 'db' })
    expect(verdict!.score).toBeCloseTo(0.75, 1)
    expect(seconds.copy.blocked.db).toBe(60)
    expect(seconds.decode).toMatchObject({ idle: 0, blocked: { downstream: expect.closeTo(90, -1) } })
  })

  it('tells since when, as far as the samples go back', () => {
    const changed = worker('a', -200, 0, (second) => (second < -100 ? undefined : ['publish', 'db']))
    // Of a minute more than half has to be spent.
    expect(lastWindow(changed, NOW).since! - NOW).toBe(-70_000)
    const always = worker('a', -200, 0, () => ['publish', 'db'])
    expect(lastWindow(always, NOW).since! - NOW).toBe(-195_000)
  })

  it('says nothing of workers that wait for work, or have written nothing for a minute', () => {
    expect(lastWindow([], NOW)).toMatchObject({ verdict: undefined, since: undefined, workers: 0 })
    expect(
      lastWindow(
        worker('a', -200, 0, () => undefined),
        NOW,
      ),
    ).toMatchObject({ verdict: undefined, workers: 1 })
    const gone = worker('a', -300, -100, () => ['copy', 'cpu'])
    expect(lastWindow(gone, NOW)).toMatchObject({ verdict: undefined, workers: 0 })
  })

  it('takes a worker that started anew under its name for one that did nothing known in between', () => {
    const samples = [...worker('a', -200, -40, () => ['copy', 'cpu']), ...worker('a', -30, 0, () => ['decode', 'cpu'])]
    const { seconds, verdict } = lastWindow(samples, NOW)
    expect(seconds.copy.busy).toBeGreaterThanOrEqual(0)
    expect(seconds.decode.busy).toBe(30)
    expect(verdict).toMatchObject({ stage: 'decode', cause: 'cpu' })
  })
})
