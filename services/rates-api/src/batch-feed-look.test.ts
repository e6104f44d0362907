import { describe, expect, it } from '@jest/globals'
import { LowWater } from './batch-feed-look.ts'

const mark = (xmin: bigint, xmax: bigint, no: bigint) => ({ xmin, xmax, no, at: Number(no) })

describe('the low water of looks at the ledger', () => {
  it('rises to where the ledger was once all has ended that had begun by then', () => {
    const lowWater = new LowWater()
    lowWater.saw(mark(10n, 12n, 1_000n))
    expect(lowWater.since).toEqual({ no: 900n, at: 1_000 })
    lowWater.saw(mark(11n, 20n, 2_000n))
    expect(lowWater.since!.at).toBe(1_000)
    lowWater.saw(mark(12n, 20n, 3_000n))
    expect(lowWater.since!.at).toBe(1_000) // now it waits for those before 20
    lowWater.saw(mark(20n, 21n, 4_000n))
    expect(lowWater.since).toEqual({ no: 2_900n, at: 3_000 })
  })

  it('begins anew where the ledger was restored, whose transactions count from lower on', () => {
    const lowWater = new LowWater()
    for (const no of [1_000n, 2_000n]) lowWater.saw(mark(no, no, no))
    lowWater.saw(mark(50n, 50n, 700n))
    expect(lowWater.since).toEqual({ no: 600n, at: 700 })
    lowWater.saw(mark(51n, 51n, 800n))
    expect(lowWater.since).toEqual({ no: 600n, at: 700 })
    lowWater.saw(mark(52n, 52n, 900n))
    expect(lowWater.since).toEqual({ no: 700n, at: 800 })
  })
})
