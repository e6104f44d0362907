/** Plots as SVG text, readable on light and dark pages: a white ground, no scripts, no fonts of their own. */

const COLOURS = ['#1f6feb', '#d1571f', '#8a63d2', '#2f9e57', '#7a7a7a']
const WIDTH = 760
/** About what a letter takes. */
const LETTER = 7.2
const FONT = 'font-family="system-ui, sans-serif" font-size="13"'

/** Text as it may stand in an element or in an attribute. */
export function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&apos;')
}

const text = (x: number, y: number, content: string, more = ''): string =>
  `<text x="${round(x)}" y="${round(y)}" ${more}>${escapeXml(content)}</text>`

const round = (value: number): number => Math.round(value * 10) / 10

function page(height: number, title: string, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" ${FONT} role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(16, 26, title, 'font-size="15" font-weight="600" fill="#111111"'),
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}

export interface Bar {
  label: string
  value: number
  /** What stands behind the bar. */
  told: string
  /** Bars of one colour belong together. */
  colour?: number
}

/** Bars from left to right, from zero. @throws RangeError for none */
export function barChart(title: string, bars: readonly Bar[]): string {
  if (bars.length === 0) throw new RangeError('a chart has bars')
  const left = 24 + Math.max(...bars.map(({ label }) => label.length)) * LETTER
  const room = WIDTH - left - 130
  const highest = Math.max(...bars.map(({ value }) => value)) || 1
  const parts = bars.flatMap(({ label, value, told, colour = 0 }, i) => {
    const y = 44 + i * 30
    const width = Math.max(1, (value / highest) * room)
    return [
      text(left - 8, y + 15, label, 'text-anchor="end" fill="#333333"'),
      `<rect x="${round(left)}" y="${y}" width="${round(width)}" height="20" rx="2" fill="${colourOf(colour)}"/>`,
      text(left + width + 8, y + 15, told, 'fill="#111111"'),
    ]
  })
  return page(58 + bars.length * 30, title, parts)
}

const colourOf = (colour: number): string => COLOURS[colour % COLOURS.length]!

export interface Line {
  label: string
  points: readonly { x: number; y: number }[]
}

export interface Axis {
  label: string
  told: (value: number) => string
  scale: 'linear' | 'log'
  /** Where the axis is marked. */
  ticks: readonly number[]
}

/** Lines with a point at each value. @throws RangeError where there are no points, or one that a log scale cannot show */
export function lineChart(title: string, lines: readonly Line[], x: Axis, y: Axis): string {
  const all = lines.flatMap(({ points }) => points)
  if (all.length === 0) throw new RangeError('a chart has points')
  const [left, right, top, bottom] = [90, WIDTH - 24, 62, 332]
  const toX = scaled(
    x,
    all.map((point) => point.x),
    left,
    right,
  )
  const toY = scaled(
    y,
    all.map((point) => point.y),
    bottom,
    top,
  )
  const grid = [
    ...x.ticks.map((tick) => mark(toX(tick), top, toX(tick), bottom)),
    ...x.ticks.map((tick) => text(toX(tick), bottom + 18, x.told(tick), 'text-anchor="middle" fill="#555555"')),
    ...y.ticks.map((tick) => mark(left, toY(tick), right, toY(tick))),
    ...y.ticks.map((tick) => text(left - 8, toY(tick) + 4, y.told(tick), 'text-anchor="end" fill="#555555"')),
    text((left + right) / 2, bottom + 38, x.label, 'text-anchor="middle" fill="#333333"'),
    text(16, top - 14, y.label, 'fill="#333333"'),
  ]
  let legend = left
  const drawn = lines.flatMap(({ label, points }, i) => {
    const at = points.map((point) => [round(toX(point.x)), round(toY(point.y))] as const)
    const colour = colourOf(i)
    const legendAt = legend
    legend += 38 + label.length * LETTER
    return [
      `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${at.map((each) => each.join(',')).join(' ')}"/>`,
      ...(at.length > 40 ? [] : at.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour}"/>`)),
      `<rect x="${round(legendAt)}" y="${bottom + 50}" width="12" height="12" fill="${colour}"/>`,
      text(legendAt + 18, bottom + 60, label, 'fill="#333333"'),
    ]
  })
  return page(bottom + 76, title, [...grid, ...drawn])
}

const mark = (x1: number, y1: number, x2: number, y2: number): string =>
  `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="#dddddd"/>`

function scaled(
  { scale, ticks }: Axis,
  values: readonly number[],
  from: number,
  to: number,
): (value: number) => number {
  const all = [...values, ...ticks]
  const [low, high] = [Math.min(...all), Math.max(...all)]
  if (scale === 'log' && low <= 0) throw new RangeError(`a log scale has no place for ${low}`)
  const place = scale === 'log' ? Math.log : (value: number) => value
  const range = place(high) - place(low) || 1
  return (value) => from + ((place(value) - place(low)) / range) * (to - from)
}

/** Powers of ten that enclose the values. @throws RangeError for values that are not above 0 */
export function decades(values: readonly number[]): number[] {
  if (values.some((value) => value <= 0)) throw new RangeError('powers of ten are above 0')
  const first = Math.floor(Math.log10(Math.min(...values)))
  const last = Math.ceil(Math.log10(Math.max(...values)))
  return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i))
}

/** From 0 to the first round number above the highest value, in four or five steps. */
export function evenly(highest: number): number[] {
  const rough = Math.max(highest, 1e-9) / 4
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((each) => each >= rough * 0.999)!
  return Array.from({ length: Math.ceil(highest / step) + 1 }, (_, i) => i * step)
}
