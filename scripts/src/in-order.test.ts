import { describe, expect, it } from '@jest/globals'
import { inOrder } from './in-order.ts'

describe('inOrder', () => {
  it('gives results in the order of their work, with so many begun at most', async () => {
    let going = 0
    let most = 0
    const source = async function* () {
      for (let i = 0; i < 50; i++) yield await Promise.resolve(i)
    }
    const results: number[] = []
    const work = async (i: number): Promise<number> => {
      most = Math.max(most, ++going)
      await new Promise((resolve) => setTimeout(resolve, (i * 7) % 5))
      going--
      return i
    }
    for await (const i of inOrder(source(), 8, work)) results.push(i)
    expect(results).toEqual(Array.from({ length: 50 }, (_, i) => i))
    expect(most).toBe(8)
  })

  it('gives what is done while nothing more comes in', async () => {
    const more = Promise.withResolvers<void>()
    const source = async function* () {
      yield 1
      await more.promise
      yield 2
    }
    const results = inOrder(source(), 8, (i) => Promise.resolve(i))
    expect(await results.next()).toEqual({ value: 1, done: false })
    more.resolve()
    expect(await results.next()).toEqual({ value: 2, done: false })
    expect((await results.next()).done).toBe(true)
  })

  it('tells a failure in its turn, and one of the source', async () => {
    const numbers = async function* (fault?: Error) {
      yield await Promise.resolve(1)
      yield 2
      if (fault) throw fault
    }
    const failing = inOrder(numbers(), 8, (i) => (i === 2 ? Promise.reject(new Error('two')) : Promise.resolve(i)))
    expect((await failing.next()).value).toBe(1)
    await expect(failing.next()).rejects.toThrow('two')
    const broken = inOrder(numbers(new Error('source')), 8, (i) => Promise.resolve(i))
    expect((await broken.next()).value).toBe(1)
    await expect(async () => {
      while (!(await broken.next()).done);
    }).rejects.toThrow('source')
  })
})
