import { describe, expect, it } from '@jest/globals'
import { readPromql } from './promql.ts'

describe('readPromql', () => {
  it.each([
    ['up', [{ metric: 'up', labels: [] }]],
    ['up{job="ingest", namespace=~"a|b{}"} == 0', [{ metric: 'up', labels: ['job', 'namespace'] }]],
    ['{__name__="up",job="x"}', [{ metric: 'up', labels: ['job'] }]],
    ['rate(a_total{x!="1"}[5m:30s] offset 1h) # rate(b[1m])', [{ metric: 'a_total', labels: ['x'] }]],
    ['time() - max_over_time(a:b:c[1h]) > bool 1e3', [{ metric: 'a:b:c', labels: [] }]],
    ['-a @ end() and inf', [{ metric: 'a', labels: [] }]],
  ])('finds what %s asks for', (query, selectors) => {
    const found = readPromql(query).selectors
    expect(found.map(({ metric, matchers }) => ({ metric, labels: matchers.map(({ label }) => label) }))).toEqual(
      selectors,
    )
  })

  it('tells what is matched', () => {
    expect(readPromql('a{b=~"c|d", e!=\'\'}').selectors[0]?.matchers).toEqual([
      { label: 'b', operator: '=~', value: 'c|d' },
      { label: 'e', operator: '!=', value: '' },
    ])
  })

  it('finds labels that are grouped by and made', () => {
    const query = `sum without (a) (x) / on (b, c) group_left topk by (d) (1, label_replace(rate(y{z="("}[1m]), "e", "$1", "z", "(.+)"))
      * ignoring(f) group_right (g) count(x) by (h)`
    const { selectors, grouped, made } = readPromql(query)
    expect(selectors.map(({ metric }) => metric)).toEqual(['x', 'y', 'x'])
    expect(grouped).toEqual(['a', 'b', 'c', 'd', 'f', 'g', 'h'])
    expect(made).toEqual(['e'])
  })

  it.each(['sum by (a', 'a{b="c"', 'a $ b'])('refuses %s', (query) =>
    expect(() => readPromql(query)).toThrow(SyntaxError),
  )
})
