import { CONTENDERS, type MeasuredCell } from './cells.ts'
import { grouped, mib, ms, short } from './numbers.ts'
import { type SectionResults } from './results.ts'
import { CONTENDER_NAMES } from './sections/load.ts'
import { barChart, decades, evenly, lineChart } from './svg.ts'

/** SVG by file name, of those sections that were run. */
export function plotsOf(sections: Partial<SectionResults>): Map<string, string> {
  const plots = new Map<string, string>()
  if (sections.load) {
    plots.set('load.svg', contenders(sections.load, sections.debezium))
    plots.set('sizes.svg', sizes(sections.load))
  }
  if (sections.memory) plots.set('memory.svg', memory(sections.memory))
  if (sections.small) plots.set('small.svg', small(sections.small))
  if (sections.reads) plots.set('reads.svg', reads(sections.reads))
  return plots
}

const plain = (name: string): string => name.replaceAll('`', '')

function contenders({ rows, cells }: SectionResults['load'], debezium: SectionResults['debezium'] | undefined): string {
  const base = cells.filter((cell) => cell.rows === rows && cell.batches === 1 && cell.database === 'tuned')
  const bar = (label: string, rate: number, colour: number) => ({
    label,
    value: rate,
    told: `${grouped(rate)} rows/s`,
    colour,
  })
  return barChart(`${short(rows)} rows into PostgreSQL`, [
    ...base
      .toSorted((a, b) => b.rowsPerSecond - a.rowsPerSecond)
      .map((cell) =>
        bar(
          `${plain(CONTENDER_NAMES[cell.contender])}${cell.order === 'random' ? ', random order' : ''}`,
          cell.rowsPerSecond,
          cell.contender === 'this' ? 0 : 4,
        ),
      ),
    ...(debezium?.runs ?? []).map((run) =>
      bar(`Debezium, index${run.keys ? ' and keys' : ' alone'}`, run.rowsPerSecond, 4),
    ),
  ])
}

function sizes({ cells }: SectionResults['load']): string {
  const chosen = cells.filter((cell) => cell.order === 'pair' && cell.batches === 1 && cell.database === 'tuned')
  const point = ({ rows, rowsPerSecond }: MeasuredCell) => ({ x: rows, y: rowsPerSecond })
  const lines = CONTENDERS.map((contender) => ({
    label: plain(CONTENDER_NAMES[contender]).replace('original schema', 'original'),
    points: chosen.filter((cell) => cell.contender === contender).map(point),
  })).filter(({ points }) => points.length > 0)
  return lineChart(
    'Rows a second by size of batch',
    lines,
    { label: 'rows of the batch', told: short, scale: 'log', ticks: [...new Set(chosen.map(({ rows }) => rows))] },
    { label: 'rows/s', told: short, scale: 'log', ticks: decades(chosen.map((cell) => cell.rowsPerSecond)) },
  )
}

function memory({ sizes: measured }: SectionResults['memory']): string {
  return barChart(
    'Highest memory of a worker, by size of batch',
    measured.map(({ rows, worker }) => ({ label: `${short(rows)} rows`, value: worker, told: mib(worker) })),
  )
}

function small({ course, rowsPerBatch }: SectionResults['small']): string {
  const points = [{ x: 0, y: 0 }, ...course.map(({ seconds, batches }) => ({ x: seconds, y: batches }))]
  const last = points.at(-1)!
  return lineChart(
    `Batches of ${grouped(rowsPerBatch)} rows on the same pairs, sent and loaded at the same time`,
    [{ label: 'batches visible', points }],
    { label: 'seconds', told: (value) => String(Number(value.toFixed(2))), scale: 'linear', ticks: evenly(last.x) },
    { label: 'batches', told: grouped, scale: 'linear', ticks: evenly(last.y) },
  )
}

function reads({ idle, regionIdle, busy }: SectionResults['reads']): string {
  const bar = (label: string, value: number, colour: number) => ({ label, value, told: ms(value), colour })
  return barChart('p99 of GET /rates at a steady rate', [
    bar('a month of one pair, idle', idle.p99, 4),
    bar(`… during ${short(busy.rows)}-row batches`, busy.pair.p99, 0),
    bar('region to region, idle', regionIdle.p99, 4),
    bar(`… during ${short(busy.rows)}-row batches`, busy.region.p99, 0),
  ])
}
