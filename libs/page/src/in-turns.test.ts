import { expect, it } from '@jest/globals'
import { inTurns } from './in-turns.ts'

it('does all of them, never more than so many at once, and keeps what does not fail', async () => {
  let going = 0
  let most = 0
  const done = await inTurns([1, 2, 3, 4, 5, 6, 7], 3, async (n) => {
    most = Math.max(most, ++going)
    await Promise.resolve()
    going--
    if (n === 2) throw new Error('two')
    return n * 10
  })
  expect(done).toEqual([10, 30, 40, 50, 60, 70])
  expect(most).toBe(3)
})
