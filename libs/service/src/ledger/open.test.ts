import { expect, it } from '@jest/globals'
import { openingValues } from './open.ts'

it('opens a batch with a deadline as its records are read, though PostgreSQL would round it up', () => {
  const deadline = '2026-11-21T07:59:59.9999999Z'
  const values = openingValues({ batchId: 'fine', deadline }, null, new Date())
  expect(values).toContainEqual(new Date('2026-11-21T07:59:59.999Z'))
})
