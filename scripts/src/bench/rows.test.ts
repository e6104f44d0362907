import { describe, expect, test } from '@jest/globals'
import { parseCsv } from '@rates/core/csv'
import { PortTable } from '@rates/core/port-table'
import { RowBuffer } from '@rates/core/row-buffer'
import { variants } from './history.ts'
import { benchCodes, benchRows, narrow, type RowsSpec } from './rows.ts'

const ports = new PortTable(benchCodes.map((code, i) => ({ code, id: i + 1 })))

function parsed(spec: RowsSpec): RowBuffer {
  const rows = new RowBuffer()
  parseCsv(Buffer.concat([...benchRows(spec)]), ports, rows)
  return rows
}

describe('rows of the benchmark', () => {
  test('are good rows, the same each time', () => {
    const first = parsed({ rows: 12_345, order: 'pair' })
    expect([first.accepted, first.rejected]).toEqual([12_345, 0])
    expect(parsed({ rows: 12_345, order: 'pair' }).digest.bytes()).toEqual(first.digest.bytes())
    expect(parsed({ rows: 12_345, order: 'random' }).digest.bytes()).not.toEqual(first.digest.bytes())
  })

  test('one in a hundred breaks a rule, by all rules in turn', () => {
    const rows = parsed({ rows: 2_000, order: 'pair', badEvery: 100 })
    expect([rows.accepted, rows.rejected]).toEqual([1_980, 20])
    expect(rows.rules()).toEqual({ unknown_port: 5, not_a_date: 5, price_out_of_range: 5, columns: 5 })
    expect(parsed({ rows: 400, order: 'pair', badEvery: 1 }).accepted).toBe(0)
  })

  test('with ids are the same with numbers for codes', () => {
    const ids = new Map(benchCodes.map((code, i) => [code, i + 1]))
    const line = `${benchCodes[3]},${benchCodes[74]},2025-01-02,1200`
    expect(narrow(Buffer.from(`${line}\n${line}\n`), ids)).toBe('4,75,2025-01-02,1200\n4,75,2025-01-02,1200\n')
  })
})

test('packs of history have the sums and counts of their prices', () => {
  for (const { days, n, s, prices } of variants(5)) {
    expect(prices).toHaveLength(75)
    let at = 0
    for (const [i, count] of n.entries()) {
      const day = prices.slice(at, (at += count))
      expect(day.reduce((sum, price) => sum + price, 0)).toBe(s[i])
    }
    expect(at).toBe(prices.length)
    expect(days).toEqual([...days].sort((a, b) => a - b))
    expect(days.at(-1)).toBeLessThan(28) // February has them all
  }
})
