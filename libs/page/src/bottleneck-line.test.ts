import { expect, it } from '@jest/globals'
import { bottleneckLine } from './bottleneck-line.ts'

const now = Date.parse('2026-11-21T08:05:00Z')

it('a bottleneck is told in a line, and nothing where there is none', () => {
  const verdict = { stage: 'copy', cause: 'db_lock', since: '2026-11-21T08:02:00Z' } as const
  expect(bottleneckLine({ reporting: 2, verdict }, now)).toBe(
    'Bottleneck: storing rows waits for a lock in PostgreSQL, for 3 min',
  )
  expect(bottleneckLine({ reporting: 2, verdict: null }, now)).toBeUndefined()
  expect(bottleneckLine({ reporting: 0, verdict: null }, now)).toMatch('No worker')
})
