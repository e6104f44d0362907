import uPlot from 'uplot'
import { count } from '../format.ts'
import { type Colors } from './colors.ts'
import { lonely, type Series } from './series.ts'

const DAY = 86_400
const MONTH = 30 * DAY
const YEAR = 365 * DAY
/** Steps of the axis of days: never hours. */
const STEPS = [1, 2, 3, 5, 10, 15]
  .map((n) => n * DAY)
  .concat(
    [1, 2, 3, 6].map((n) => n * MONTH),
    [1, 2, 5].map((n) => n * YEAR),
  )
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

const FONT = '12px system-ui, sans-serif'
/** Both charts have it to the left, so that their days stand above each other. */
const LEFT = 56
/** Where days are wider than this, each has its point. */
const POINT_PIXELS = 9

export interface ChartEvents {
  onPoint(index: number | null): void
  onChoose(index: number): void
  /** The chosen day's place. */
  chosen(): number | null
}

interface Parts {
  series: Series
  colors: Colors
  events: ChartEvents
  width: number
}

/** What both charts have in common: days of UTC along the bottom, a line at the pointer, the chosen day marked. */
function common({ series, colors, events, width }: Parts, height: number): Omit<uPlot.Options, 'series' | 'axes'> {
  const [first, last] = [series.times[0]!, series.times.at(-1)!]
  return {
    width,
    height,
    legend: { show: false },
    tzDate: (time) => uPlot.tzDate(new Date(time * 1000), 'Etc/UTC'),
    padding: [8, 12, 0, 0],
    scales: { x: { time: true, range: [first - DAY / 2, last + DAY / 2] } },
    cursor: { sync: { key: 'days' }, y: false, drag: { x: false, y: false }, points: { show: false } },
    hooks: {
      ready: [
        ({ over, cursor }) => {
          over.addEventListener('click', () => {
            if (typeof cursor.idx === 'number') events.onChoose(cursor.idx)
          })
        },
      ],
      setCursor: [({ cursor }) => events.onPoint(cursor.idx ?? null)],
      drawClear: [
        (chart) => {
          const chosen = events.chosen()
          if (chosen === null) return
          const { ctx, bbox } = chart
          const [left, right] = [-DAY / 2, DAY / 2].map((by) => chart.valToPos(series.times[chosen]! + by, 'x', true))
          const wide = Math.max(right! - left!, 3 * uPlot.pxRatio)
          ctx.save()
          ctx.fillStyle = colors.accentBack
          ctx.fillRect((left! + right! - wide) / 2, bbox.top, wide, bbox.height)
          ctx.restore()
        },
      ],
    },
  }
}

export function averagesChart(parts: Parts): uPlot.Options {
  const { series, colors } = parts
  const points = lonely(series.averages)
  return {
    ...common(parts, 260),
    series: [
      {},
      {
        stroke: colors.accent,
        width: 2,
        spanGaps: false,
        points: {
          size: 6,
          fill: colors.accent,
          show: true,
          filter: (chart) => (chart.bbox.width / uPlot.pxRatio / series.times.length >= POINT_PIXELS ? null : points),
        },
      },
    ],
    axes: [
      { ...lines(colors), incrs: STEPS, space: 64, values: () => [], size: 4, ticks: { show: false } },
      { ...lines(colors), size: LEFT, values: (_, values) => values.map((value) => count(value)), incrs: WHOLE },
    ],
  }
}

/** How many prices there are, as bars: where there are too few for an average in another colour. */
export function countsChart(parts: Parts): uPlot.Options {
  const { colors } = parts
  const bars = (color: string): uPlot.Series => ({
    fill: color,
    width: 0,
    points: { show: false },
    paths: uPlot.paths.bars!({ size: [0.75, 24, 1] }),
  })
  const shared = common(parts, 110)
  return {
    ...shared,
    scales: { ...shared.scales!, y: { range: (_, __, max) => [0, Math.max(max ?? 0, 3)] } },
    series: [{}, bars(colors.accent), bars(colors.warn)],
    axes: [
      { ...lines(colors), incrs: STEPS, space: 64, values: (_, times, __, ___, step) => dayLabels(times, step) },
      {
        ...lines(colors),
        size: LEFT,
        incrs: WHOLE,
        space: 22,
        values: (_, values) => values.map((value) => count(value)),
      },
    ],
  }
}

/** Prices are whole numbers, and so are their steps. */
const WHOLE = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((n) => n * 10 ** power)).flat()

const lines = ({ text, line }: Colors): uPlot.Axis => ({
  stroke: text,
  font: FONT,
  grid: { stroke: line, width: 1 },
  ticks: { stroke: line, width: 1, size: 4 },
})

/** `21 Nov`, or `Nov 2026` where the axis goes by months, with the year where another one begins. */
export function dayLabels(times: readonly number[], step: number): string[] {
  return times.map((time, i) => {
    const date = new Date(time * 1000)
    const year = date.getUTCFullYear()
    const month = MONTHS[date.getUTCMonth()]!
    if (step >= YEAR) return String(year)
    const before = times[i - 1]
    const newYear = before === undefined || new Date(before * 1000).getUTCFullYear() !== year
    const label = step >= MONTH ? month : `${date.getUTCDate()} ${month}`
    return newYear ? `${label}\n${year}` : label
  })
}
