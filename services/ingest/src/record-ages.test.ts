import { expect, it } from '@jest/globals'
import { RecordAges } from './record-ages.ts'

const partition = (no: number, committed: bigint | null, high: bigint) => ({ partition: no, low: 0n, high, committed })

it('the age of the next unread record is known from when the ends of the partitions were seen', async () => {
  let time = 1_000_000_000
  const offsetsAt = (_: string, at: number) => Promise.resolve(new Map([[0, at < time - 100_000 ? 9n : 99n]]))
  const ages = new RecordAges({ offsetsAt }, 'topic', () => time)
  const of = async (committed: bigint, high: bigint) => (await ages.of([partition(0, committed, high)])).get(0)
  expect(await of(5n, 5n)).toBe(0)
  time += 5_000
  expect(await of(5n, 8n)).toBe(0) // three have come, a moment ago
  time += 5_000
  expect(await of(5n, 9n)).toBe(5)
  time += 5_000
  expect(await of(7n, 9n)).toBe(10)
  expect(await of(8n, 9n)).toBe(5)
  expect(await of(9n, 9n)).toBe(0)
  time += 60_000 // another worker led meanwhile
  expect(await of(9n, 10n)).toBeGreaterThan(60)
})

it('of records that were there before, Kafka is asked by time', async () => {
  const now = 10_000_000_000
  const asked: number[] = []
  // The record 3 of partition 0 is 100 s old, the record 7 of partition 1 is 3 s old.
  const offsetsAt = (_: string, at: number) => {
    asked.push((now - at) / 1000)
    return Promise.resolve(new Map([[0, now - at < 100_000 ? 4n : 3n], [1, now - at < 3_000 ? 8n : 7n]])) // prettier-ignore
  }
  const ages = new RecordAges({ offsetsAt }, 'topic', () => now)
  const found = await ages.of([partition(0, 3n, 9n), partition(1, 7n, 8n), partition(2, null, 0n)])
  expect([...found]).toEqual([
    [0, 64],
    [1, 2],
    [2, 0],
  ])
  expect(asked).toEqual([2, 4, 8, 16, 32, 64, 128])
})
