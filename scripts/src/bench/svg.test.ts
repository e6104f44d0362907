import { describe, expect, test } from '@jest/globals'
import { barChart, decades, escapeXml, evenly, lineChart } from './svg.ts'

test('text cannot leave its element or its attribute', () => {
  expect(escapeXml(`<a href="x">'&'</a>`)).toBe('&lt;a href=&quot;x&quot;&gt;&apos;&amp;&apos;&lt;/a&gt;')
})

describe('bars', () => {
  test('are as long as their values, and say them', () => {
    const svg = barChart('a & b', [
      { label: 'this', value: 200, told: '200 rows/s' },
      { label: '<other>', value: 100, told: '100 rows/s', colour: 1 },
    ])
    const widths = [...svg.matchAll(/<rect x="[\d.]+" y="[\d.]+" width="([\d.]+)" height="20"/g)].map((found) =>
      Number(found[1]),
    )
    expect(widths[0]).toBeCloseTo(widths[1]! * 2, 0)
    expect(svg).toContain('a &amp; b')
    expect(svg).toContain('&lt;other&gt;')
    expect(svg).not.toContain('<other>')
  })

  test('of nothing are refused, and all zero is drawn', () => {
    expect(() => barChart('', [])).toThrow(RangeError)
    expect(barChart('', [{ label: 'a', value: 0, told: '0' }])).not.toContain('NaN')
  })
})

describe('lines', () => {
  const axis = { label: '', told: String, ticks: [1, 10, 100] }

  test('on a log scale tens are equally far apart', () => {
    const points = [1, 10, 100].map((value) => ({ x: value, y: value }))
    const svg = lineChart('', [{ label: 'l', points }], { ...axis, scale: 'log' }, { ...axis, scale: 'log' })
    const drawn = /points="([^"]+)"/
      .exec(svg)![1]!
      .split(' ')
      .map((point) => point.split(',').map(Number))
    expect(drawn[1]![0]! - drawn[0]![0]!).toBeCloseTo(drawn[2]![0]! - drawn[1]![0]!, 0)
    expect(drawn[0]![1]).toBeGreaterThan(drawn[2]![1]!) // up is less in SVG
  })

  test('what a log scale cannot show is refused', () => {
    const points = [{ x: 0, y: 1 }]
    expect(() => lineChart('', [{ label: '', points }], { ...axis, scale: 'log' }, { ...axis, scale: 'log' })).toThrow(
      RangeError,
    )
    expect(() => lineChart('', [], { ...axis, scale: 'log' }, { ...axis, scale: 'log' })).toThrow(RangeError)
  })
})

test('marks enclose the values', () => {
  expect(decades([50, 200_000])).toEqual([10, 100, 1_000, 10_000, 100_000, 1_000_000])
  expect(evenly(0.9)).toEqual([0, 0.25, 0.5, 0.75, 1])
  expect(evenly(20_000)).toEqual([0, 5_000, 10_000, 15_000, 20_000])
  expect(evenly(134).at(-1)).toBeGreaterThanOrEqual(134)
})
