import { describe, expect, it } from '@jest/globals'
import { readdirSync, readFileSync } from 'node:fs'
import { metricsIn } from '../metric-names.ts'
import { panelsOf, queriesOf, queriesOfRules, targetsOf } from '../queries.ts'
import { GROUPS } from '../rule-files.ts'
import { dashboardFiles, dashboards } from './all.ts'

const docs = new URL('../../../../docs/', import.meta.url)
const documented = readFileSync(new URL('metrics.md', docs), 'utf8')
/** Code in prose, of the pages that tell where to look. */
const inProse = [
  'observability.md',
  ...readdirSync(new URL('runbooks/', docs)).map((name) => `runbooks/${name}`),
].flatMap((where) =>
  [...readFileSync(new URL(where, docs), 'utf8').matchAll(/`([^`\n]+)`/g)].map(([, expr]) => ({ where, expr: expr! })),
)
const recorded = new Set(
  Object.values(GROUPS)
    .flat()
    .flatMap(({ rules }) => rules.map((rule) => ('record' in rule ? rule.record : ''))),
)

describe.each(dashboards.map((each) => [each.title, each] as const))('%s', (_title, dashboard) => {
  const panels = panelsOf(dashboard)

  it('has panels with a unit, a description and queries of the chosen data source', () => {
    expect(panels.length).toBeGreaterThan(5)
    for (const panel of panels) {
      const named = { panel: panel.title, unit: panel.fieldConfig?.defaults.unit, description: panel.description }
      expect(named).toEqual({
        panel: expect.stringMatching(/./),
        unit: expect.stringMatching(/./),
        description: expect.stringMatching(/^.{15,}\.$/),
      })
      expect(panel.datasource).toEqual({ type: 'prometheus', uid: '${datasource}' })
      expect(targetsOf(panel).length).toBeGreaterThan(0)
    }
  })

  it('shows the environments that are chosen, in every query', () => {
    for (const panel of panels)
      for (const { expr } of targetsOf(panel)) {
        const selected =
          expr.match(/(rates:[\w:]+|rates_\w+|http_\w+_seconds\w*|nodejs_\w+|process_\w+)(?=[{[])/g) ?? []
        expect([panel.title, expr.match(/namespace=~"\$namespace"/g)?.length ?? 0]).toEqual([
          panel.title,
          selected.length,
        ])
      }
  })

  it('has ids of its own for each panel, and none lies on another', () => {
    const all = dashboard.panels ?? []
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length)
    const cells = new Set<string>()
    for (const { title, gridPos } of all) {
      const { x, y, w, h } = gridPos!
      expect([title, x + w <= 24]).toEqual([title, true])
      for (let i = x; i < x + w; i++)
        for (let j = y; j < y + h; j++) {
          expect([title, cells.has(`${i},${j}`)]).toEqual([title, false])
          cells.add(`${i},${j}`)
        }
    }
  })

  it('leaves no variable of Grafana in the queries for a test', () => {
    for (const { expr } of queriesOf(dashboard)) expect(expr).not.toMatch(/\$(?!1")/)
  })
})

it('makes the same files each time', () => {
  expect([...dashboardFiles()]).toEqual([...dashboardFiles()])
})

describe('metrics that are asked for', () => {
  const asked = [...dashboards.flatMap(queriesOf), ...queriesOfRules()]

  it('are found in PromQL, and nothing else is', () => {
    expect([
      ...metricsIn(
        'histogram_quantile(0.9, sum by (le, http_route) (rate(rates_x_seconds_bucket{a="rates_no"}[5m]))) / on (x) rates:y:count or rates_z',
      ),
    ]).toEqual(['rates_x_seconds', 'rates:y:count', 'rates_z'])
  })

  it('stand in docs/metrics.md, or are recorded', () => {
    const unknown = [...asked, ...inProse].flatMap(({ where, expr }) =>
      [...metricsIn(expr)]
        .filter((name) => (name.includes(':') ? !recorded.has(name) : !isDocumented(name)))
        .map((name) => `${name} in ${where}`),
    )
    expect(unknown).toEqual([])
  })
})

/** By its name; of a row that has several, the others may begin with `_`. What prom-client exports is told as a whole. */
function isDocumented(name: string): boolean {
  if (/^(process|nodejs_(?!eventloop))/.test(name) || documented.includes(`\`${name}\``)) return true
  return documented
    .split('\n')
    .some((line) =>
      [...line.matchAll(/`(_\w+)`/g)].some(([, rest]) => name.endsWith(rest!) && line.includes('`rates_')),
    )
}
