import { describe, expect, test } from '@jest/globals'
import { estimate, readOptions, SECTIONS, type Plan } from './options.ts'

function plan(...args: string[]): Plan {
  const wanted = readOptions(args)
  if (!('plan' in wanted)) throw new Error('no plan')
  return wanted.plan
}

describe('options of the benchmark', () => {
  test('all sizes follow from the rows of the base cell', () => {
    expect(plan()).toMatchObject({ sizes: [10_000, 100_000, 1_000_000, 5_000_000], historyRows: 100_000_000 })
    expect(plan('--rows', '50000').sizes).toEqual([500, 5_000, 50_000, 250_000])
  })

  test('sections run in their own order; debezium only when asked for', () => {
    expect(plan().sections).toEqual(SECTIONS.filter((name) => name !== 'debezium'))
    expect(plan('--peer', 'debezium').sections).toEqual(SECTIONS)
    expect(plan('--only', 'reads, load').sections).toEqual(['load', 'reads'])
    expect(plan('--only', 'load', '--peer', 'debezium').sections).toEqual(['load', 'debezium'])
    expect(plan('--only', 'debezium').sections).toEqual(['debezium'])
  })

  test('what is wrong is told by name', () => {
    expect(() => plan('--only', 'load,reeds')).toThrow('--only: no section reeds')
    expect(() => plan('--rows', '1e9.5')).toThrow('--rows')
    expect(() => plan('--rows', '100')).toThrow('--rows: 100 is no whole number from 2000')
    expect(() => plan('--peer', 'nifi')).toThrow('--peer')
    expect(() => plan('--what')).toThrow("'--what'")
  })

  test('the whole run fits into 25 minutes, the quick one into 90 seconds', () => {
    expect(estimate(plan('--peer', 'debezium'))).toBeLessThan(25 * 60)
    expect(estimate(plan('--quick'))).toBeLessThanOrEqual(95)
    expect(estimate(plan('--only', 'load'))).toBeLessThan(estimate(plan()))
  })
})
