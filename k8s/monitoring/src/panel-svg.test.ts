import { describe, expect, it } from '@jest/globals'
import { bottleneck } from './dashboards/bottleneck.ts'
import { format, panelSvg } from './panel-svg.ts'
import { panelsOf } from './queries.ts'

const box = { x: 0, y: 0, width: 400, height: 200 }
const panel = (title: string) => panelsOf(bottleneck).find((each) => each.title === title)!

describe('a drawn panel', () => {
  it('names the verdict in its colour', () => {
    const svg = panelSvg(panel('Bottleneck'), [{ name: 'copy', points: [[60, 0.7]] }], box, 0, 60)
    expect(svg).toContain('>copy</text>')
    expect(svg).toContain('fill="#ff9830"')
  })

  it('says what stands there without a series', () => {
    expect(panelSvg(panel('Earliest slack'), [], box, 0, 60)).toContain('>no deadline</text>')
  })

  it('ends a line where points are missing', () => {
    const points: [number, number][] = [0, 10, 20, 50, 60].map((at) => [at, 1])
    const svg = panelSvg(panel('Batches'), [{ name: 'succeeded', points }], box, 0, 60)
    expect(svg.match(/<polyline/g)).toHaveLength(2)
  })

  it.each([
    [0.0042, 's', '4.2 ms'],
    [5400, 's', '90 min'],
    [Infinity, 's', '∞'],
    [0.767, 'percentunit', '76.7 %'],
    [1_234_567, 'rowsps', '1.23 M rows/s'],
  ])('writes %d of the unit %s as %s', (value, unit, text) => expect(format(value, unit)).toBe(text))
})
