import { describe, expect, it } from '@jest/globals'
import { drainTimes, figuresOf, reasons, Timeline } from './phases.ts'

const ok = (at: number, ms = 1) => ({ at, ms, retries: 0 })

describe('figures of phases', () => {
  it('belong to the phase in which a request was due', () => {
    const phases = [
      { name: 'quiet', from: 0, to: 100 },
      { name: 'restart', from: 100, to: 200 },
    ]
    const reads = [
      ok(10, 2),
      ok(99, 4),
      { ...ok(100), failed: 'ECONNRESET' },
      { ...ok(150, 9), retries: 2, retried: '503' },
    ]
    const [quiet, restart] = figuresOf(phases, { reads, uploads: [], batches: [] })
    expect(quiet!.reads).toMatchObject({ requests: 2, failed: 0, retried: 0, spread: { max: 4 } })
    expect(restart!.reads).toMatchObject({ requests: 2, failed: 1, retried: 1, spread: { count: 1, max: 9 } })
    expect(restart!.uploads).toEqual({ requests: 0, failed: 0, retried: 0, spread: null })
    expect(reasons(reads, phases)).toEqual([
      '1 x restart: failed: ECONNRESET (first at 1970-01-01T00:00:00.100Z)',
      '1 x restart: sent again: 503 (first at 1970-01-01T00:00:00.150Z)',
    ])
  })

  it('have the time of a phase that failed, too', async () => {
    const timeline = new Timeline()
    await expect(timeline.during('one', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    await timeline.during('two', () => Promise.resolve('3 pods'))
    const [one, two] = timeline.phases
    expect(one!.to).toBeLessThanOrEqual(two!.from)
    expect(two).toMatchObject({ name: 'two', note: '3 pods' })
  })
})

describe('drain times', () => {
  it('count from the word that a process stops to the word that it has stopped', () => {
    const pod = { name: 'a', created: 0, restarts: 0 }
    const times = drainTimes([
      { ...pod, component: 'api', stopping: 1_000, stopped: 7_500 },
      { ...pod, component: 'api', stopping: 1_000 }, // killed
      { ...pod, component: 'ingest', stopping: 1_000, stopped: 1_250 },
    ])
    expect(times.get('api')).toMatchObject({ count: 1, max: 6.5 })
    expect(times.get('ingest')).toMatchObject({ count: 1, max: 0.25 })
  })
})
