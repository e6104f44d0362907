import { expect, test } from '@jest/globals'
import { selfTimes, type CpuProfile } from './cpu-profile.ts'

const node = (id: number, functionName: string, url = '') => ({ id, callFrame: { functionName, url, lineNumber: 9 } })

test('self time is summed by function, and waiting is no work', () => {
  const profile: CpuProfile = {
    nodes: [
      node(1, '(root)'),
      node(2, '(idle)'),
      node(3, 'parseCsv', 'file:///home/x/libs/rates/dist/csv.js'),
      node(4, 'parseCsv', 'file:///home/x/libs/rates/dist/csv.js'), // called from elsewhere
      node(5, '', 'file:///home/x/node_modules/pg/lib/client.js'),
      node(6, '(garbage collector)'),
    ],
    samples: [3, 2, 4, 5, 6, 3],
    startTime: 5_000,
    timeDeltas: [10, 1_000, 20, 15, 5, 30],
  }
  const { total, functions } = selfTimes(profile)
  expect(total).toBe(80)
  expect(functions).toEqual([
    { name: 'parseCsv libs/rates/dist/csv.js:10', micros: 60 },
    { name: '(anonymous) pg/lib/client.js:10', micros: 15 },
    { name: '(garbage collector)', micros: 5 },
  ])
  // The start, which nobody asks about, is left out.
  expect(selfTimes(profile, 6_040)).toEqual({
    total: 50,
    functions: [
      { name: 'parseCsv libs/rates/dist/csv.js:10', micros: 30 },
      { name: '(anonymous) pg/lib/client.js:10', micros: 15 },
      { name: '(garbage collector)', micros: 5 },
    ],
  })
})
