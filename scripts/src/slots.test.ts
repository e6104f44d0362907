import { describe, expect, it } from '@jest/globals'
import { Slots } from './slots.ts'

/** Work that ends when it is told to. */
function work(): { run: () => Promise<void>; end: () => void; fail: (error: Error) => void; begun: () => boolean } {
  let begun = false
  let end = (): void => undefined
  let fail: (error: Error) => void = () => undefined
  const done = new Promise<void>((resolve, reject) => ([end, fail] = [resolve, reject]))
  const run = (): Promise<void> => {
    begun = true
    return done
  }
  return { run, end: () => end(), fail: (error) => fail(error), begun: () => begun }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('Slots', () => {
  it('has no more at a time than it may', async () => {
    const slots = new Slots(2)
    const works = [work(), work(), work()]
    const third = Promise.all(works.map(({ run }) => slots.begin(run)))
    await settled()
    expect(works.map(({ begun }) => begun())).toEqual([true, true, false])
    works[1]!.end()
    await third
    expect(works[2]!.begun()).toBe(true)
    works[0]!.end()
    works[2]!.end()
    await slots.all()
  })

  it('tells the first failure to whoever begins more, waits for something else, or for all', async () => {
    const slots = new Slots(2)
    const [one, two, three] = [work(), work(), work()]
    await slots.begin(one.run)
    await slots.begin(two.run)
    const waiting = slots.meanwhile(new Promise(() => undefined))
    one.fail(new Error('first'))
    await expect(waiting).rejects.toThrow('first')
    two.fail(new Error('second'))
    await expect(slots.begin(three.run)).rejects.toThrow('first')
    expect(three.begun()).toBe(false)
    await expect(slots.meanwhile(new Promise(() => undefined))).rejects.toThrow('first')
    await slots.ended()
    await expect(slots.all()).rejects.toThrow('first')
  })

  it('gives what it waits for beside the work', async () => {
    const slots = new Slots(1)
    await expect(slots.meanwhile(Promise.resolve(7))).resolves.toBe(7)
    await expect(slots.meanwhile(Promise.reject(new Error('own')))).rejects.toThrow('own')
  })
})
