import { parseArgs } from 'node:util'

/** In the order in which they run: what wants empty tables comes before the history is made. */
export const SECTIONS = [
  'load',
  'rejected',
  'scaling',
  'memory',
  'publication',
  'lanes',
  'small',
  'debezium',
  'history',
  'reads',
] as const
export type SectionName = (typeof SECTIONS)[number]

export const HELP = `npm run bench -- [options]

  --only A,B        these sections: ${SECTIONS.join(', ')}
  --peer debezium   the section debezium too: it downloads 91 MB at the first use, and takes two minutes
  --quick           every section but debezium at toy size, in about 90 seconds: proves that it works, measures nothing
  --rows N          rows of the base cell (1000000); all other sizes follow from it
  --runs N          runs of a cell, of which the median is told (5); a cell that takes long has fewer
  --history N       rows of history (100 for each row of the base cell)
  --small N         batches of the section small (20000)
  --profile DIR     also writes CPU profiles of the workers and of PostgreSQL there, and what takes their time
  --json FILE       writes everything as JSON
  --report FILE     runs nothing: writes the tables of docs/benchmarks.md and docs/plots/*.svg from such a file

It starts PostgreSQL, a Kafka broker, workers and the API on ports of their own and removes them afterwards.`

export interface Plan {
  sections: readonly SectionName[]
  quick: boolean
  rows: number
  /** Of a batch, ascending; the last but one is `rows`. */
  sizes: readonly [number, number, number, number]
  runs: number
  /** A cell is repeated until its runs are done or it has taken this long. */
  cellSeconds: number
  /** Batches that `rows` are cut into. */
  smallCut: number
  smallBatches: number
  historyRows: number
  /** Time of each measurement of reads. */
  readSeconds: number
  /** Reads during so many seconds of batches. */
  busySeconds: number
  /** Requests a second of the open model. */
  rate: number
  profile: string | undefined
  json: string | undefined
}

export type Wanted = { help: true } | { report: string } | { plan: Plan }

/** @throws an error that says what is wrong with an option */
export function readOptions(args: readonly string[]): Wanted {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      peer: { type: 'string' },
      quick: { type: 'boolean', default: false },
      rows: { type: 'string' },
      runs: { type: 'string' },
      history: { type: 'string' },
      small: { type: 'string' },
      profile: { type: 'string' },
      json: { type: 'string' },
      report: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return { help: true }
  if (values.report !== undefined) return { report: values.report }
  if (values.peer !== undefined && values.peer !== 'debezium') throw new Error(`--peer: there is none but debezium`)
  const { quick } = values
  const rows = whole('rows', values.rows ?? (quick ? '50000' : '1000000'), 2_000)
  const plan: Plan = {
    sections: chosen(values.only, values.peer !== undefined),
    quick,
    rows,
    sizes: [rows / 100, rows / 10, rows, rows * 5].map(Math.round) as [number, number, number, number],
    runs: whole('runs', values.runs ?? (quick ? '1' : '5'), 1),
    cellSeconds: quick ? 1 : 15,
    smallCut: quick ? 20 : 200,
    smallBatches: whole('small', values.small ?? (quick ? '200' : '20000'), 10),
    historyRows: whole('history', values.history ?? String(rows * (quick ? 20 : 100)), 1),
    readSeconds: quick ? 1 : 5,
    busySeconds: quick ? 2 : 30,
    rate: quick ? 200 : 1_000,
    profile: values.profile,
    json: values.json,
  }
  return { plan }
}

function chosen(only: string | undefined, peer: boolean): SectionName[] {
  if (only === undefined) return SECTIONS.filter((name) => name !== 'debezium' || peer)
  const wanted = only.split(',').map((name) => name.trim())
  const unknown = wanted.find((name) => !(SECTIONS as readonly string[]).includes(name))
  if (unknown !== undefined) throw new Error(`--only: no section ${unknown}; there are ${SECTIONS.join(', ')}`)
  return SECTIONS.filter((name) => wanted.includes(name) || (name === 'debezium' && peer))
}

function whole(name: string, text: string, least: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < least) throw new Error(`--${name}: ${text} is no whole number from ${least}`)
  return value
}

/** Seconds that a section takes on two cores: at toy size; else some whatever its size, and more for each million rows. */
const COST: Record<SectionName, { quick: number; fixed: number; perMillion: number }> = {
  load: { quick: 20, fixed: 20, perMillion: 320 },
  rejected: { quick: 3, fixed: 5, perMillion: 35 },
  scaling: { quick: 6, fixed: 15, perMillion: 30 },
  memory: { quick: 10, fixed: 20, perMillion: 35 },
  publication: { quick: 6, fixed: 10, perMillion: 90 },
  lanes: { quick: 4, fixed: 15, perMillion: 45 },
  small: { quick: 16, fixed: 60, perMillion: 200 },
  debezium: { quick: 60, fixed: 40, perMillion: 70 },
  history: { quick: 2, fixed: 5, perMillion: 40 },
  reads: { quick: 14, fixed: 170, perMillion: 60 },
}
const START = 8

/** About how many seconds the run will take. */
export function estimate({ sections, rows, quick }: Plan): number {
  const each = sections.map((name) => COST[name])
  const sum = each.reduce(
    (all, cost) => all + (quick ? cost.quick : cost.fixed + (cost.perMillion * rows) / 1e6),
    START,
  )
  return Math.round(sum)
}
