import { expect, it } from '@jest/globals'
import { Progress } from './progress.ts'

it('a worker is stuck when records wait and nothing was finished or tried again for long', () => {
  let time = 0
  let waiting = false
  const progress = new Progress(300, () => waiting, () => time * 1000) // prettier-ignore
  time = 1_000
  progress.check() // there is nothing to do
  progress.made() // something came
  waiting = true
  time += 299
  progress.check()
  time += 1
  expect(() => progress.check()).toThrow('records wait, and for 300 s nothing was finished or tried again')
  progress.made()
  progress.check()
  time += 10_000
  const never = new Progress(0, () => true, () => time * 1000) // prettier-ignore
  time += 10_000
  never.check()
})
