import { type Panel } from '@grafana/grafana-foundation-sdk/dashboard'

export interface Series {
  name: string
  /** Seconds since 1970, and the value. */
  points: [number, number][]
}

interface Box {
  x: number
  y: number
  width: number
  height: number
}

const PALETTE = ['#3274d9', '#56a64b', '#ff9830', '#e02f44', '#a352cc', '#0f9d9d', '#8a6d3b', '#5c6bc0']

interface Options {
  stacked: boolean
  max: number | undefined
  unit: string
  colours: Map<string, string>
  thresholds: { value: number | null; color: string }[]
  lines: boolean
}

function optionsOf({ fieldConfig }: Panel): Options {
  const { defaults, overrides } = fieldConfig!
  const custom = (defaults.custom ?? {}) as { stacking?: { mode: string }; thresholdsStyle?: object }
  return {
    stacked: custom.stacking?.mode === 'normal',
    max: defaults.max ?? undefined,
    unit: defaults.unit ?? '',
    colours: new Map(
      overrides.map(({ matcher, properties }) => [
        String(matcher.options),
        (properties[0]?.value as { fixedColor: string }).fixedColor,
      ]),
    ),
    thresholds: defaults.thresholds?.steps ?? [],
    lines: custom.thresholdsStyle !== undefined,
  }
}

/** A panel as Grafana would show it, roughly: enough to see what it says, and for a picture in the documentation. */
export function panelSvg(panel: Panel, series: Series[], box: Box, from: number, to: number): string {
  const options = optionsOf(panel)
  const body = panel.type === 'stat' ? stat(panel, series, options, box) : graph(series, options, box, from, to)
  const frame = `<rect x="${box.x}" y="${box.y}" width="${box.width}" height="${box.height}" fill="#fff" stroke="#d8d8d8"/>`
  return `${frame}${text(box.x + 8, box.y + 16, panel.title ?? '', 'font-weight="600"')}${body}`
}

function stat(panel: Panel, series: Series[], options: Options, box: Box): string {
  const byName = (panel.options as { textMode?: string }).textMode === 'name'
  const last = series[0]?.points.at(-1)?.[1]
  const shown =
    last === undefined
      ? (panel.fieldConfig?.defaults.noValue ?? 'No data')
      : byName
        ? series[0]!.name
        : format(last, options.unit)
  const color =
    options.thresholds.findLast(({ value }) => value === null || (last ?? -Infinity) >= value)?.color ?? 'blue'
  const fill =
    last === undefined
      ? '#9e9e9e'
      : ({ green: '#56a64b', orange: '#ff9830', red: '#e02f44', blue: '#3274d9' }[color] ?? color)
  const { x, y, width, height } = box
  return (
    `<rect x="${x + 6}" y="${y + 24}" width="${width - 12}" height="${height - 30}" rx="3" fill="${fill}"/>` +
    text(
      x + width / 2,
      y + 24 + (height - 30) / 2 + 9,
      shown,
      'font-size="26" font-weight="600" fill="#fff" text-anchor="middle"',
    )
  )
}

function graph(series: Series[], options: Options, box: Box, from: number, to: number): string {
  const plot = { x: box.x + 58, y: box.y + 28, width: box.width - 70, height: box.height - 82 }
  const stacked = options.stacked ? stack(series) : series.map((each) => ({ ...each, base: undefined }))
  const values = stacked.flatMap(({ points }) => points.map(([, value]) => value)).filter(Number.isFinite)
  const top = options.max ?? niceTop(Math.max(0, ...values))
  const px = (at: number): number => round(plot.x + ((at - from) / (to - from)) * plot.width)
  const py = (value: number): number => round(plot.y + plot.height * (1 - Math.min(Math.max(value, 0), top) / top))
  const line = (points: [number, number][]): string => points.map(([at, value]) => `${px(at)},${py(value)}`).join(' ')
  const color = (name: string, i: number): string => options.colours.get(name) ?? PALETTE[i % PALETTE.length]!
  const grid = [0, 0.5, 1].map((part) => {
    const y = py(top * part)
    const label = text(plot.x - 6, y + 4, format(top * part, options.unit), 'text-anchor="end" fill="#777"')
    return `<line x1="${plot.x}" x2="${plot.x + plot.width}" y1="${y}" y2="${y}" stroke="#eee"/>${label}`
  })
  const borders = options.lines ? options.thresholds.filter(({ value }) => value !== null && value <= top) : []
  const limits = borders.map(({ value, color: stroke }) => {
    const y = py(value!)
    return `<line x1="${plot.x}" x2="${plot.x + plot.width}" y1="${y}" y2="${y}" stroke="${stroke}" stroke-dasharray="5 4"/>`
  })
  const step = Math.min(...series.flatMap(({ points }) => points.slice(1).map(([at], i) => at - points[i]![0])))
  const drawn = stacked.map(({ name, points, base }, i) =>
    base === undefined
      ? gaps(points, step)
          .map((part) => `<polyline points="${line(part)}" fill="none" stroke="${color(name, i)}" stroke-width="1.5"/>`)
          .join('')
      : `<polygon points="${line(points)} ${line(base.toReversed())}" fill="${color(name, i)}" fill-opacity="0.8"/>`,
  )
  const times = [from, (from + to) / 2, to].map((at, i) =>
    text(
      px(at),
      plot.y + plot.height + 14,
      new Date(at * 1000).toISOString().slice(11, 16),
      `fill="#777" text-anchor="${['start', 'middle', 'end'][i]}"`,
    ),
  )
  return [
    ...grid,
    ...drawn,
    ...limits,
    ...times,
    legend(
      series.map(({ name }, i) => [name, color(name, i)]),
      box,
    ),
  ].join('')
}

function legend(names: [string, string][], box: Box): string {
  let x = box.x + 10
  let y = box.y + box.height - 24
  return names
    .map(([name, color]) => {
      const width = 22 + name.length * 6
      if (x + width > box.x + box.width) [x, y] = [box.x + 10, y + 14]
      const entry =
        y > box.y + box.height - 6
          ? ''
          : `<rect x="${x}" y="${y - 8}" width="10" height="9" fill="${color}"/>${text(x + 14, y, name)}`
      x += width
      return entry
    })
    .join('')
}

/** Each series on those before it; a missing point counts as 0. */
function stack(series: Series[]): (Series & { base: [number, number][] })[] {
  const times = [...new Set(series.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => a - b)
  const sums = new Map(times.map((at) => [at, 0]))
  return series.map(({ name, points }) => {
    const base = times.map((at): [number, number] => [at, sums.get(at)!])
    for (const [at, value] of points) if (Number.isFinite(value)) sums.set(at, sums.get(at)! + value)
    return { name, base, points: times.map((at): [number, number] => [at, sums.get(at)!]) }
  })
}

/** Lines end where points are missing. */
function gaps(points: [number, number][], step: number): [number, number][][] {
  const parts: [number, number][][] = []
  for (const point of points) {
    if (!Number.isFinite(point[1])) continue
    const last = parts.at(-1)
    if (last && point[0] - last.at(-1)![0] < step * 1.5) last.push(point)
    else parts.push([point])
  }
  return parts
}

function niceTop(value: number): number {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return [1, 1.5, 2, 3, 4, 5, 7.5, 10].map((each) => each * power).find((each) => each >= value)!
}

export function format(value: number, unit: string): string {
  if (!Number.isFinite(value)) return value > 0 ? '∞' : String(value)
  if (unit === 'percentunit') return `${Number((value * 100).toPrecision(3))} %`
  if (unit === 's') return duration(value)
  const suffix = { Bps: ' B/s', bytes: ' B', rowsps: ' rows/s', reqps: ' req/s', cps: ' /s' }[unit] ?? ''
  const [divided, letter] =
    Math.abs(value) >= 1e6 ? [value / 1e6, ' M'] : Math.abs(value) >= 1e4 ? [value / 1e3, ' k'] : [value, '']
  return `${Number(divided.toPrecision(3))}${letter}${suffix}`
}

function duration(seconds: number): string {
  const size = Math.abs(seconds)
  const [divided, unit] =
    size === 0
      ? [0, 's']
      : size < 1
        ? [seconds * 1000, 'ms']
        : size < 100
          ? [seconds, 's']
          : size < 6000
            ? [seconds / 60, 'min']
            : [seconds / 3600, 'h']
  return `${Number(divided.toPrecision(3))} ${unit}`
}

const escape = (words: string): string => words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
const text = (x: number, y: number, words: string, more = ''): string =>
  `<text x="${x}" y="${y}" ${more}>${escape(words)}</text>`
const round = (value: number): number => Math.round(value * 10) / 10
