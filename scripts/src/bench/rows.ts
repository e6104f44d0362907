import { formatDay } from '@rates/core/months'

/** 75 ports: 5 550 pairs of different ones, 2.5 prices a pair and day, as suppliers' lists have. */
export const benchCodes = Array.from({ length: 75 }, (_, i) => {
  const letter = (n: number): string => String.fromCharCode(65 + n)
  return `B${letter(i % 26)}${letter(Math.floor(i / 26))}ZZ`
})

/** A generator of numbers from 0 to 1 that gives the same for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** The same rows for every contender, as CSV without a header line, in pieces of some 10 000. */
export function* benchRows(rows: number, order: 'pair' | 'random', seed = 1): Generator<Buffer> {
  const random = seeded(seed)
  const pairs: string[] = []
  for (const orig of benchCodes) for (const dest of benchCodes) if (orig !== dest) pairs.push(`${orig},${dest}`)
  const days = Math.max(1, Math.ceil(rows / 2.5 / pairs.length))
  const firstMonth = (2025 - 1970) * 12
  const dates: string[] = []
  for (let i = 0; i < days; i++) {
    const date = new Date(Date.UTC(1970, firstMonth, 1 + i))
    dates.push(formatDay((date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth(), date.getUTCDate() - 1))
  }
  let lines = ''
  for (let i = 0; i < rows; i++) {
    const cell = order === 'pair' ? Math.floor(i / 2.5) : Math.floor(random() * pairs.length * days)
    lines += `${pairs[Math.floor(cell / days) % pairs.length]},${dates[cell % days]},${500 + Math.floor(random() * 5_000)}\n`
    if (i % 10_000 === 9_999) {
      yield Buffer.from(lines)
      lines = ''
    }
  }
  if (lines !== '') yield Buffer.from(lines)
}
