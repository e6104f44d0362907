import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { PassThrough } from 'node:stream'
import { count, duration, megabytes, Progress } from './progress.ts'

let now = 0
let out: PassThrough & { isTTY?: boolean; columns?: number }
const written = (): string => (out.read() as Buffer | null)?.toString() ?? ''
const ci = process.env['CI']

beforeEach(() => {
  delete process.env['CI']
  now = 0
  out = new PassThrough()
})
afterEach(() => {
  if (ci !== undefined) process.env['CI'] = ci
})

function run(progress: Progress, rows: number, seconds: number): void {
  for (let tick = 1; tick <= seconds * 100; tick++) {
    now += 10
    progress.update((rows * tick) / (seconds * 100))
  }
}

describe('Progress', () => {
  it('redraws one line in a terminal, at most ten times a second, and leaves the last', () => {
    out.isTTY = true
    out.columns = 120
    const progress = new Progress(out, () => now)
    progress.start('sending', { unit: 'rows', total: 1_000_000 })
    run(progress, 500_000, 2)
    const lines = written().split('\r\x1b[2K')
    expect(lines.length - 1).toBeLessThanOrEqual(21)
    expect(lines.at(-1)).toBe('sending     ████████████░░░░░░░░░░░░   50 %  500 000 rows  250 000 rows/s  2.0 s left')
    expect(lines.join('')).not.toContain('\n')
    progress.finish()
    expect(written()).toBe(
      '\r\x1b[2Ksending     ████████████░░░░░░░░░░░░   50 %  500 000 rows  250 000 rows/s  2.0 s\n',
    )
  })

  it('never fills a terminal line, for a wrapped one cannot be redrawn', () => {
    Object.assign(out, { isTTY: true, columns: 40 })
    const progress = new Progress(out, () => now)
    progress.start('sending', { unit: 'rows', total: 10 })
    progress.finish()
    for (const line of written().replace('\n', '').split('\r\x1b[2K')) expect(line.length).toBeLessThan(40)
  })

  it('writes plain lines every five seconds where there is no terminal, and one at the end', () => {
    const progress = new Progress(out, () => now)
    progress.start('checking', { unit: 'bytes', total: 40_000_000 })
    run(progress, 40_000_000, 16)
    progress.finish()
    expect(written().split('\n')).toEqual([
      'checking     31 %  13 MB  2.5 MB/s  11 s left',
      'checking     62 %  25 MB  2.5 MB/s  6.0 s left',
      'checking     93 %  38 MB  2.5 MB/s  1.0 s left',
      'checking    100 %  40 MB  2.5 MB/s  16 s',
      '',
    ])
  })

  it('goes on when nobody reads it any more', () => {
    const progress = new Progress(out, () => now)
    out.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
    progress.start('sending', { unit: 'rows' })
    progress.finish()
  })

  it('follows a pause', () => {
    Object.assign(out, { isTTY: true, columns: 120 })
    const progress = new Progress(out, () => now)
    progress.start('loading', { unit: 'rows' })
    run(progress, 1000, 1)
    for (let tick = 0; tick < 60; tick++) {
      now += 100
      progress.update(1000, 'waiting for PostgreSQL')
    }
    expect(written().split('\r\x1b[2K').at(-1)).toBe('loading     1 000 rows  waiting for PostgreSQL')
  })

  it('counts what was there before into no speed, and learns where the end is', () => {
    Object.assign(out, { isTTY: true, columns: 120 })
    const progress = new Progress(out, () => now)
    progress.start('loading', { unit: 'rows', from: 1000 })
    now += 1000
    progress.update(1500)
    progress.expect(2000)
    now += 1000
    progress.update(1600)
    expect(written().split('\r\x1b[2K').slice(-2)).toEqual([
      'loading     1 500 rows  500 rows/s',
      'loading     ███████████████████░░░░░   80 %  1 600 rows  300 rows/s  1.3 s left',
    ])
    progress.finish()
    expect(written()).toMatch(/ 300 rows\/s {2}2\.0 s\n$/)
  })

  it('sets notes above its line, and takes the line away before an error', () => {
    Object.assign(out, { isTTY: true, columns: 120 })
    const progress = new Progress(out, () => now)
    progress.start('sending', { unit: 'rows', total: 10 })
    progress.note('a note')
    expect(written()).toMatch(/\r\x1b\[2Ka note\n\r\x1b\[2Ksending {5}░/)
    progress.clear()
    expect(written()).toBe('\r\x1b[2K')
    progress.update(5)
    progress.finish()
    expect(written()).toBe('')
  })
})

describe('numbers in words', () => {
  it('reads the same everywhere', () => {
    expect([count(0), count(999), count(1234567.8)]).toEqual(['0', '999', '1 234 568'])
    expect([megabytes(123_456), megabytes(123_456_789)]).toEqual(['0.1 MB', '123 MB'])
    expect([duration(1.26), duration(59.4), duration(61), duration(7261)]).toEqual([
      '1.3 s',
      '59 s',
      '1 min 1 s',
      '2 h 1 min',
    ])
  })
})
