import { formatDay } from '@rates/core/months'

/** 75 ports: 5 550 pairs of different ones, 2.5 prices a pair and day, as suppliers' lists have. */
export const benchCodes = Array.from({ length: 75 }, (_, i) => {
  const letter = (n: number): string => String.fromCharCode(65 + n)
  return `B${letter(i % 26)}${letter(Math.floor(i / 26))}ZZ`
})

/** Of each origin all destinations, as lists in order of pairs have them. */
export const benchPairs: readonly (readonly [number, number])[] = benchCodes.flatMap((_, orig) =>
  benchCodes.flatMap((__, dest) => (orig === dest ? [] : [[orig, dest] as const])),
)

export type Order = 'pair' | 'random'

export interface RowsSpec {
  rows: number
  order: Order
  /** One in so many rows breaks a rule, each rule in turn; 0: none. */
  badEvery?: number
}

/** A generator of numbers from 0 to 1 that gives the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** The first month of the rows. */
export const FIRST_YEAR = 2025

/** Days that a batch of so many rows has prices of. */
export const daysOf = (rows: number): number => Math.max(1, Math.ceil(rows / 2.5 / benchPairs.length))

const BAD: readonly ((pair: string, day: string, price: number) => string)[] = [
  (pair, day, price) => `${pair.slice(0, 6)}NOONE,${day},${price}`,
  (pair, _, price) => `${pair},2025-02-31,${price}`,
  (pair, day, price) => `${pair},${day},-${price}`,
  (pair, day, price) => `${pair},${day},${price},USD`,
]

/** The same rows for every contender, as CSV without a header line, in pieces of some 10 000. */
export function* benchRows({ rows, order, badEvery = 0 }: RowsSpec, seed = 1): Generator<Buffer> {
  const random = seeded(seed)
  const pairs = benchPairs.map(([orig, dest]) => `${benchCodes[orig]},${benchCodes[dest]}`)
  const days = daysOf(rows)
  const dates: string[] = []
  for (let i = 0; i < days; i++) {
    const date = new Date(Date.UTC(FIRST_YEAR, 0, 1 + i))
    dates.push(formatDay((date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth(), date.getUTCDate() - 1))
  }
  let lines = ''
  for (let i = 0; i < rows; i++) {
    const cell = order === 'pair' ? Math.floor(i / 2.5) : Math.floor(random() * pairs.length * days)
    const pair = pairs[Math.floor(cell / days) % pairs.length]!
    const day = dates[cell % days]!
    const price = 500 + Math.floor(random() * 5_000)
    const bad = badEvery > 0 && i % badEvery === badEvery - 1
    lines += bad ? `${BAD[Math.floor(i / badEvery) % BAD.length]!(pair, day, price)}\n` : `${pair},${day},${price}\n`
    if (i % 10_000 === 9_999) {
      yield Buffer.from(lines)
      lines = ''
    }
  }
  if (lines !== '') yield Buffer.from(lines)
}

/** CSV rows with the ports' ids in place of their codes, which all have five letters. */
export function narrow(piece: Buffer, ids: ReadonlyMap<string, number>): string {
  const lines = piece.toString().trimEnd().split('\n')
  return lines.map((line) => `${ids.get(line.slice(0, 5))},${ids.get(line.slice(6, 11))}${line.slice(11)}\n`).join('')
}
