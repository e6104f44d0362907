import { expect, it } from '@jest/globals'
import { loadBatch, month, remembered } from './load-batch.ts'

it('a batch is remembered by what its rows were made of', () => {
  const batch = loadBatch('a', { rows: 50, seed: 3, month: month(2000, 13) })
  expect(batch.lines[0]).toContain('2001-02')
  expect(remembered(batch)).toMatchObject({ id: 'a', month: '2001-02', digest: batch.digest, lines: batch.lines })
})
