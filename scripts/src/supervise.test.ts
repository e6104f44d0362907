import { describe, expect, it } from '@jest/globals'
import { type Exit } from '@rates/local/processes'
import { type Part, Supervised, type SuperviseOptions } from './supervise.ts'

/** A part that ends when told, or when the test says so. */
function fakePart(pid: number) {
  let end: (exit: Exit) => void = () => undefined
  const exited = new Promise<Exit>((resolve) => (end = resolve))
  const part: Part & { die(): void; stopped: boolean } = {
    pid,
    exited,
    stopped: false,
    stop: async () => {
      part.stopped = true
      end({ code: 0, signal: null })
    },
    die: () => end({ code: null, signal: 'SIGKILL' }),
  }
  return part
}

describe('Supervised', () => {
  const run = (first: Part, options: Partial<SuperviseOptions>) => {
    const deaths: string[] = []
    const restarts: number[] = []
    const supervised = new Supervised(first, {
      name: 'worker',
      start: () => Promise.reject(new Error('no start expected')),
      onDeath: ({ reason, againInMs }) => deaths.push(`${reason}, ${againInMs}`),
      onRestart: ({ part }) => restarts.push(part.pid),
      firstWaitMs: 1,
      ...options,
    })
    return { supervised, deaths, restarts }
  }

  it('starts again what has died, after ever longer waits, and what fails to start too', async () => {
    const parts = [fakePart(2), fakePart(3)]
    let begun: () => void = () => undefined
    const third = new Promise<void>((resolve) => (begun = resolve))
    const restarts: number[] = []
    const onRestart: SuperviseOptions['onRestart'] = ({ part }) => {
      restarts.push(part.pid)
      if (part.pid === 3) begun()
    }
    let attempt = 0
    const start = async () => {
      attempt++
      if (attempt === 2) throw new Error('port taken')
      const part = parts.shift()!
      if (part.pid === 2) part.die()
      return part
    }
    const first = fakePart(1)
    const { supervised, deaths } = run(first, { start, onRestart })
    first.die()
    await third
    await supervised.stop()
    expect(deaths).toEqual(['was killed by SIGKILL, 1', 'was killed by SIGKILL, 2', 'port taken, 4'])
    expect(restarts).toEqual([2, 3])
    expect(attempt).toBe(3)
  })

  it('waits the shortest time again after a part that ran well', async () => {
    let begun: (part: Part) => void = () => undefined
    const again = new Promise<Part>((resolve) => (begun = resolve))
    let count = 1
    const start = async () => {
      const part = fakePart(++count)
      if (count < 4) part.die()
      else begun(part)
      return part
    }
    const first = fakePart(1)
    const { supervised, deaths } = run(first, { start, wellAfterMs: 0 })
    first.die()
    await again
    await supervised.stop()
    expect(deaths).toEqual(Array(3).fill('was killed by SIGKILL, 1'))
  })

  it('does not start again what it has stopped, and says nothing of it', async () => {
    const first = fakePart(1)
    const { supervised, deaths } = run(first, {})
    await supervised.stop()
    expect(first.stopped).toBe(true)
    expect(deaths).toEqual([])
  })

  it('stops at once while it waits to start again', async () => {
    const first = fakePart(1)
    const { supervised, restarts } = run(first, { firstWaitMs: 600_000 })
    first.die()
    await first.exited
    await supervised.stop()
    expect(restarts).toEqual([])
  })

  it('stops a part that came up after it was told to stop', async () => {
    let release: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (release = resolve))
    let asked: () => void = () => undefined
    const starting = new Promise<void>((resolve) => (asked = resolve))
    const late = fakePart(2)
    const start = async () => {
      asked()
      await gate
      return late
    }
    const first = fakePart(1)
    const { supervised, restarts } = run(first, { start })
    first.die()
    await starting
    const stopped = supervised.stop()
    release()
    await stopped
    expect(late.stopped).toBe(true)
    expect(restarts).toEqual([])
  })
})
