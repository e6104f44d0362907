import { parseArgs } from 'node:util'
import { type Panel } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboards } from './dashboards/all.ts'
import { panelSvg, type Series } from './panel-svg.ts'
import { substituted, targetsOf } from './queries.ts'

/**
 * Draws a dashboard, or some of its rows, by what a Prometheus has, as SVG:
 * node k8s/monitoring/src/draw.ts --dashboard rates-bottleneck --row Verdict --minutes 30 > dashboard.svg
 */
const { values: given } = parseArgs({
  options: {
    prometheus: { type: 'string', default: 'http://127.0.0.1:9090' },
    dashboard: { type: 'string', default: 'rates-bottleneck' },
    /** The beginning of a row's title, as often as one likes; all rows without it. */
    row: { type: 'string', multiple: true },
    minutes: { type: 'string', default: '30' },
    /** Until when, in seconds since 1970. */
    until: { type: 'string' },
  },
})

const CELL = { width: 50, height: 30 }
const to = given.until === undefined ? Math.floor(Date.now() / 1000) : Number(given.until)
const from = to - Number(given.minutes) * 60
const step = Math.max(5, Math.round((to - from) / 240))

interface Answer {
  status: string
  error?: string
  data: { result: { metric: Record<string, string>; value?: [number, string]; values?: [number, string][] }[] }
}

async function ask(expr: string, instant: boolean, legend: string): Promise<Series[]> {
  const range = instant ? { time: String(to) } : { start: String(from), end: String(to), step: String(step) }
  const url = new URL(instant ? '/api/v1/query' : '/api/v1/query_range', given.prometheus)
  const response = await fetch(url, {
    method: 'POST',
    body: new URLSearchParams({ query: substituted(expr), ...range }),
  })
  const answer = (await response.json()) as Answer
  if (answer.status !== 'success') throw new Error(`${expr}: ${answer.error}`)
  return answer.data.result.map(({ metric, value, values }) => ({
    name: legend.replace(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? '').trim(),
    points: (values ?? [value!]).map(([at, number]): [number, number] => [at, Number(number)]),
  }))
}

const dashboard = dashboards.find(({ uid }) => uid === given.dashboard)
if (!dashboard) throw new Error(`there is no ${given.dashboard}: ${dashboards.map(({ uid }) => uid).join(', ')}`)
const drawn: string[] = []
let shown = false
let y = 0
let rowY = 0
let bottom = 0
for (const panel of dashboard.panels ?? []) {
  if (panel.type === 'row') {
    shown = given.row?.some((begin) => panel.title?.startsWith(begin)) ?? true
    rowY = panel.gridPos!.y
    if (shown) drawn.push(`<text x="4" y="${(y = bottom) + 20}" font-size="15" font-weight="600">${panel.title}</text>`)
  } else if (shown) {
    const { gridPos } = panel as Panel
    const box = {
      x: gridPos!.x * CELL.width + 2,
      y: y + (gridPos!.y - rowY) * CELL.height,
      width: gridPos!.w * CELL.width - 4,
      height: gridPos!.h * CELL.height - 4,
    }
    bottom = Math.max(bottom, box.y + box.height + 6)
    const queries = targetsOf(panel as Panel)
    const series = await Promise.all(queries.map((each) => ask(each.expr, each.instant === true, each.legendFormat)))
    drawn.push(panelSvg(panel as Panel, series.flat(), box, from, to))
  }
}
process.stdout.write(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${24 * CELL.width} ${bottom}" font-family="sans-serif" font-size="11" fill="#333">` +
    `<rect width="100%" height="100%" fill="#f4f5f5"/>${drawn.join('\n')}</svg>\n`,
)
