import { describe, expect, it } from '@jest/globals'
import { shownBatch } from '@rates/testing/shown-batch'
import { hasChip, matches, NO_FILTER, queryOf, readFilter, STATE_CHIPS, toggleChip, type Filter } from './filter.ts'

const read = (query: string): Filter => readFilter(new URLSearchParams(query))

describe('the address', () => {
  it.each([
    ['', ''],
    ['state=failed', 'state=failed'],
    ['q=acme+2026&source=a%26b&dryRun=false', 'q=acme+2026&source=a%26b&dryRun=false'],
    ['dryRun=true&state=failed,pending,in_progress', 'state=pending,in_progress,failed&dryRun=true'],
    ['state=nonsense,failed&dryRun=maybe&other=1', 'state=failed'],
    ['q=+&source=+', ''],
    ['q=a,b', 'q=a,b'],
  ])('%j is read and written as %j', (query, written) => expect(queryOf(read(query))).toBe(written))
})

describe('the chips', () => {
  const [loading, succeeded] = [STATE_CHIPS[0]!.states, STATE_CHIPS[1]!.states]
  it('are several at once, and loading has two states', () => {
    const both = toggleChip(toggleChip(NO_FILTER, succeeded), loading)
    expect(queryOf(both)).toBe('state=pending,in_progress,succeeded')
    expect(hasChip(both, loading)).toBe(true)
    expect(queryOf(toggleChip(both, loading))).toBe('state=succeeded')
  })
  it('are the way out of half of it, too', () =>
    expect(queryOf(toggleChip(read('state=in_progress'), loading))).toBe(''))
})

describe('a batch of the stream', () => {
  const failed = shownBatch('acme-7', {
    state: 'failed',
    source: 'Acme',
    error: { code: 'rejected_rows', message: '3 of 9 rows', rules: { unknown_port: 3 } },
  })
  it.each([
    ['', true],
    ['state=failed', true],
    ['state=succeeded,failed', true],
    ['state=succeeded', false],
    ['source=Acme', true],
    ['source=acme', false],
    ['dryRun=false', true],
    ['dryRun=true', false],
    ['q=acme', true],
    ['q=7 rejec', true],
    ['q=unknown_port', true],
    ['q=acme 8', false],
    ['state=failed&q=nobody', false],
  ])('is listed by %j: %s', (query, listed) => expect(matches(failed, read(query))).toBe(listed))
})
