import { describe, expect, it } from '@jest/globals'
import { Stopped } from './kafka-consumer.ts'
import { createLogger } from './log.ts'
import { CommitUnknown } from './postgres.ts'
import { waitOut, type Patience } from './wait-out.ts'

const log = createLogger('test', 'silent')
const away = Object.assign(new Error('away'), { code: '57P01' })

/** Fails with each of these once, in their order. @returns its tries, and how it ended */
async function tried(faults: unknown[], patience: Partial<Patience> = {}): Promise<[number, unknown]> {
  let tries = 0
  const work = (): Promise<string> => {
    const fault = faults[tries++] as Error | undefined
    return fault === undefined ? Promise.resolve('done') : Promise.reject(fault)
  }
  const { signal } = new AbortController()
  const end: unknown = await waitOut('work', work, { signal, log, ...patience }).catch((error: unknown) => error)
  return [tries, end]
}

describe('waitOut', () => {
  it('does the work again while its faults pass, and after a COMMIT whose answer was lost', async () => {
    expect(await tried([])).toEqual([1, 'done'])
    expect(await tried([away, new CommitUnknown(new Error('cut'))])).toEqual([3, 'done'])
  })

  it('throws any other fault', async () => {
    const bug = new TypeError('a bug')
    expect(await tried([away, bug])).toEqual([2, bug])
    expect(await tried([bug, bug], { passes: (error) => error === bug })).toEqual([3, 'done'])
  })

  it('tells each fault and its pause', async () => {
    const told: unknown[] = []
    const pausing = (error: unknown, pause: Promise<void>): Promise<void> => {
      told.push(error)
      return pause
    }
    expect(await tried([away, away], { pausing })).toEqual([3, 'done'])
    expect(told).toEqual([away, away])
  })

  it('gets loud when it goes on and on: what does not pass has to be seen', async () => {
    const levels: string[] = []
    const at = (level: string) => () => void levels.push(level)
    const told = { warn: at('warn'), error: at('error') } as unknown as Patience['log']
    const patience = { log: told, pausing: () => Promise.resolve(), passes: () => true }
    expect(await tried(Array<unknown>(11).fill(new TypeError('a bug')), patience)).toEqual([12, 'done'])
    expect(levels).toEqual([...Array<string>(9).fill('warn'), 'error', 'error'])
  })

  it('ends when its signal ends a pause, or ended before', async () => {
    const stopping = new AbortController()
    const pausing = (_: unknown, pause: Promise<void>): Promise<void> => {
      stopping.abort()
      return pause
    }
    const [tries, end] = await tried([away, away], { signal: stopping.signal, pausing })
    expect([tries, end]).toEqual([1, expect.any(Stopped)])
    expect((await tried([away], { signal: stopping.signal }))[1]).toBeInstanceOf(Stopped)
    expect(await tried([], { signal: stopping.signal })).toEqual([1, 'done'])
  })

  it('does not take what was stopped inside for a fault', async () => {
    const stopped = new Stopped()
    expect(await tried([stopped], { passes: () => true })).toEqual([1, stopped])
  })
})
