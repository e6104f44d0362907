import { expect, it } from '@jest/globals'
import { familyOf, readExposition } from './exposition.ts'

const text = `# HELP wait_seconds How long.
# TYPE wait_seconds histogram
wait_seconds_bucket{le="0.1",pool="a"} 1
wait_seconds_bucket{le="+Inf",pool="a"} 1
wait_seconds_sum{pool="a"} 0.05
wait_seconds_count{pool="a"} 1
# TYPE silent_total counter
# TYPE said_total counter
said_total{what="a \\"b\\" {c}",to="x"} 3 1700000000
up_count 4
`

it('reads metrics with their labels', () => {
  const families = readExposition(text)
  expect([...families.keys()]).toEqual(['wait_seconds', 'silent_total', 'said_total'])
  expect(families.get('wait_seconds')).toEqual({
    type: 'histogram',
    labels: new Map([
      ['le', new Set(['0.1', '+Inf'])],
      ['pool', new Set(['a'])],
    ]),
  })
  expect([...families.get('said_total')!.labels.keys()]).toEqual(['what', 'to'])
  expect(familyOf('wait_seconds_bucket', families)).toBe('wait_seconds')
  expect(familyOf('said_total_count', families)).toBe('said_total_count')
})
