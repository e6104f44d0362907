import { describe, expect, it } from '@jest/globals'
import { changesOf, planRewind, recordsAgain, warningsOf, type LaneFacts } from './rewind.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const HOUR = 3_600_000
const DAY = 24 * HOUR

/** A lane of one partition with records 100 to 199, all of them read and in the ledger. */
const lane = (
  facts: Partial<LaneFacts['progress'][number]> & Partial<LaneFacts> & { wanted?: bigint } = {},
): LaneFacts => {
  const { wanted = 150n, low = 100n, high = 200n, committed = 200n, ...rest } = facts
  return {
    topic: 'rates.batches',
    group: 'rates-ingest',
    progress: [{ partition: 4, low, high, committed }],
    at: new Map([[4, wanted]]),
    ledger: new Map([[4, { offset: 199n, time: NOW - HOUR }]]),
    retention: 7 * DAY,
    ...rest,
  }
}
const plan = (facts: Parameters<typeof lane>[0], time = NOW - 2 * HOUR) => planRewind(lane(facts), time, NOW)

describe('planRewind', () => {
  it('goes back to the first record at or after the time', () => {
    const found = plan({})
    expect(found.partitions).toEqual([
      { partition: 4, from: 200n, to: 150n, again: 50n, lost: false, unread: 0n, ledgerEnds: null },
    ])
    expect(changesOf(found)).toEqual(new Map([[4, 150n]]))
    expect(recordsAgain([found])).toBe(50)
    expect(warningsOf([found], NOW)).toEqual([])
  })

  it.each([
    ['forward', { committed: 120n }],
    ['where it is', { committed: 150n }],
    ['where nothing was committed: it starts from the earliest anyway', { committed: null }],
  ])('does not go %s', (_, facts) => {
    const found = plan(facts)
    expect(changesOf(found).size).toBe(0)
    expect(recordsAgain([found])).toBe(0)
  })

  it('counts the records that are there, not those that were deleted since', () => {
    expect(plan({ wanted: 100n, committed: 200n, low: 190n }).partitions[0]).toMatchObject({ to: 100n, again: 10n })
  })

  it('tells what is lost: the ledger ends before the first record that is kept', () => {
    const ledger = new Map([[4, { offset: 98n, time: NOW - 9 * DAY }]])
    const found = plan({ wanted: 100n, ledger }, NOW - 9 * DAY)
    expect(found.partitions[0]!.lost).toBe(true)
    expect(warningsOf([found], NOW - 9 * DAY)).toEqual([expect.stringContaining('not kept any more on partition 4')])
    // The one before the first was the ledger's last.
    const whole = plan({ wanted: 100n, ledger: new Map([[4, { offset: 99n, time: 0 }]]) }, NOW - 9 * DAY)
    expect(whole.partitions[0]!.lost).toBe(false)
  })

  it('goes by the retention where the ledger knows nothing of the partition', () => {
    const told = (time: number, retention = 7 * DAY, ledger: LaneFacts['ledger'] = undefined) =>
      plan({ wanted: 100n, ledger, retention }, time).partitions[0]!.lost
    expect(told(NOW - 8 * DAY)).toBe(true)
    expect(told(NOW - 8 * DAY, 7 * DAY, new Map())).toBe(true)
    expect(told(NOW - 6 * DAY)).toBe(false)
    expect(told(NOW - 8 * DAY, Infinity)).toBe(false)
    expect(plan({ wanted: 0n, low: 0n, ledger: undefined }, NOW - 8 * DAY).partitions[0]!.lost).toBe(false)
  })

  it('tells what would stay unread: the ledger ends before the time', () => {
    const ledger = new Map([[4, { offset: 139n, time: NOW - 3 * HOUR }]])
    const found = plan({ ledger })
    expect(found.partitions[0]).toMatchObject({ unread: 10n, ledgerEnds: NOW - 3 * HOUR })
    const [warning] = warningsOf([found], NOW - 2 * HOUR)
    expect(warning).toContain('Up to 10 records on partition 4 would stay unread')
    expect(warning).toContain('--to 2026-11-21T09:00:00.000Z')
    // An empty ledger has nothing of what is kept.
    expect(plan({ ledger: new Map() }).partitions[0]).toMatchObject({ unread: 50n, ledgerEnds: null })
    expect(plan({ ledger: undefined }).partitions[0]).toMatchObject({ unread: 0n })
  })
})
