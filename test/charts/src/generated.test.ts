import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { documentedValues, readValues, undocumented, valueAt } from './documented-values.ts'
import { generated } from './generated.ts'

const advice = 'node test/charts/src/generated.ts writes it'

test.each([...generated()].map(([path, text]) => ({ file: path.split('/charts/')[1], path, text })))(
  `$file is current (${advice})`,
  ({ path, text }) => {
    expect(readFileSync(path, 'utf8')).toBe(text)
  },
)

describe.each(['rates', 'rates-dev'] as const)('values.yaml of %s', (chart) => {
  const documented = documentedValues(chart)
  const values = readValues(chart)

  test('documents every value, once', () => {
    const paths = documented.map(({ path }) => path)
    expect(undocumented(values, new Set(paths))).toEqual([])
    expect(paths).toEqual([...new Set(paths)])
  })

  test('documents no value that is not there', () => {
    const missing = documented.filter(({ path }) => valueAt(values, path) === undefined)
    expect(missing).toEqual([])
  })
})
