import { afterEach, expect, it } from '@jest/globals'
import { learnTime, serverNow } from './clock.ts'

afterEach(() => learnTime(new Date().toUTCString()))

it('follows the service where this clock is wrong, and not for less than a second or two', () => {
  const here = Date.now()
  learnTime(new Date(here + 3_600_000).toUTCString(), here)
  expect(Math.abs(serverNow() - Date.now() - 3_600_000)).toBeLessThan(1001)
  learnTime(null)
  learnTime('yesterday')
  expect(serverNow() - Date.now()).toBeGreaterThan(3_590_000)
  learnTime(new Date(here + 900).toUTCString(), here)
  expect(serverNow() - Date.now()).toBeLessThan(5)
})
