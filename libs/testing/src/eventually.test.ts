import { describe, expect, it } from '@jest/globals'
import { eventually } from './eventually.ts'

describe('eventually', () => {
  it('asks again after false, undefined and an error, and returns the first answer', async () => {
    const answers: (() => unknown)[] = [
      () => false,
      () => undefined,
      () => {
        throw new Error('not yet')
      },
      () => 0,
    ]
    expect(await eventually(async () => answers.shift()?.(), { every: 1 })).toBe(0)
    expect(answers).toEqual([])
  })

  it('gives up with what was waited for and the last error as its cause', async () => {
    const cause = new Error('refused')
    const failing = eventually(() => Promise.reject(cause), { within: 20, every: 5, what: 'the reply' })
    await expect(failing).rejects.toMatchObject({ message: 'the reply did not happen within 20 ms', cause })
  })
})
