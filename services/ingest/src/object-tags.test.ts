import { expect, it } from '@jest/globals'
import { createLogger } from '@rates/service/log'
import { tagLoading } from './object-tags.ts'

const place = { bucket: 'prices', key: 'day.csv' }
const log = createLogger('test', 'silent')

/** A store that has this ETag now, and whether it was told to tag it. */
function storeOf(etag: string, tag: () => Promise<void> = () => Promise.resolve()) {
  const tagged: unknown[] = []
  return {
    tagged,
    head: () => Promise.resolve({ etag, size: 1, metadata: {} }),
    tag: (...args: unknown[]) => {
      tagged.push(args[1])
      return tag()
    },
  }
}

it('what is loaded is told to be, if it is still the same', async () => {
  const signal = new AbortController().signal
  const [same, other] = [storeOf('a'), storeOf('b')]
  await tagLoading(same, place, { etag: 'a', size: 1 }, 'b-1', signal, log)
  await tagLoading(other, place, { etag: 'a', size: 1 }, 'b-1', signal, log)
  expect(same.tagged).toEqual([{ 'rates-state': 'loading', 'rates-batch': 'b-1' }])
  expect(other.tagged).toEqual([])
})

it('a store that does not answer is waited for no longer than it is told', async () => {
  const ending = new AbortController()
  const silent = storeOf('a', () => new Promise(() => ending.abort(new Error('enough'))))
  await tagLoading(silent, place, { etag: 'a', size: 1 }, 'b-1', ending.signal, log)
  expect(silent.tagged).toHaveLength(1)
})
