import { DEMO_PORTS, DEMO_REGIONS } from './demo-places.ts'

export interface DemoPrice {
  orig: string
  dest: string
  /** YYYY-MM-DD */
  day: string
  /** US dollars for a 40-foot container. */
  price: number
}

const FIRST_DAY = Date.UTC(2026, 6, 1)
const DAYS = 123 // to 31 October
const SEED = 20_260_701

/** Trades between regions of the second level: what a box costs in July, and how many port pairs are quoted. */
const TRADES: [from: string, to: string, price: number, pairs: number][] = [
  ['china_coast', 'channel_range', 3100, 28],
  ['china_coast', 'mediterranean', 3500, 24],
  ['china_coast', 'pacific_america', 2600, 18],
  ['china_coast', 'atlantic_america', 3900, 20],
  ['china_coast', 'arabian_peninsula', 1900, 8],
  ['china_coast', 'subcontinent', 1500, 12],
  ['japan_korea', 'channel_range', 2900, 10],
  ['japan_korea', 'pacific_america', 2400, 8],
  ['south_east_asia', 'channel_range', 2800, 16],
  ['south_east_asia', 'mediterranean', 3000, 10],
  ['south_east_asia', 'pacific_america', 2700, 8],
  ['subcontinent', 'channel_range', 1700, 12],
  ['subcontinent', 'atlantic_america', 2500, 8],
  ['channel_range', 'china_coast', 480, 10],
  ['channel_range', 'atlantic_america', 1800, 10],
  ['mediterranean', 'atlantic_america', 2200, 8],
  ['pacific_america', 'china_coast', 420, 6],
  ['atlantic_america', 'channel_range', 760, 8],
]

/** A uniform random number from 0 to 1: mulberry32, so that every run draws the same ones. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** The demo's prices, a pair after the other and within it by day; the same ones in each run. */
export function* demoPrices(): Generator<DemoPrice> {
  const random = randomFrom(SEED)
  for (const [from, to, base, pairs] of TRADES) {
    const market = marketOf(base, random)
    for (const [orig, dest] of choosePairs(portsOf(from), portsOf(to), pairs, random)) {
      const level = 0.9 + 0.25 * random()
      const suppliers = Array.from({ length: 2 + Math.floor(random() * 5) }, () => supplier(random))
      for (let day = 0; day < DAYS; day++) {
        const date = new Date(FIRST_DAY + day * 86_400_000)
        const text = date.toISOString().slice(0, 10)
        const weekend = date.getUTCDay() === 0 || date.getUTCDay() === 6
        for (const quote of suppliers) {
          const price = quote(day, market[day]! * level, weekend)
          if (price !== null) yield { orig, dest, day: text, price }
        }
      }
    }
  }
}

/** A trade's level day by day: the peak season of August, a drift, and a random walk. */
function marketOf(base: number, random: () => number): number[] {
  const drift = (random() - 0.6) * 0.25
  const season = 0.08 + 0.14 * random()
  let walk = 0
  return Array.from({ length: DAYS }, (_, day) => {
    walk = walk * 0.985 + (random() - 0.5) * 0.02
    return base * (1 + (drift * day) / DAYS + season * Math.sin((Math.PI * (day + 15)) / 110) + walk)
  })
}

/**
 * A supplier keeps a price for one to three weeks, does not quote on every day, hardly at weekends, and pauses for some
 * time now and then. So there are days with one or two quotes, and days with none.
 */
function supplier(random: () => number): (day: number, market: number, weekend: boolean) => number | null {
  const margin = 0.92 + 0.18 * random()
  const diligence = 0.55 + 0.45 * random()
  let price = 0
  let validUntil = -1
  let silentUntil = -1
  return (day, market, weekend) => {
    if (day >= validUntil) {
      price = Math.max(50, Math.round((market * margin * (0.98 + 0.04 * random())) / 5) * 5 + (random() < 0.3 ? 3 : 0))
      validUntil = day + 7 + Math.floor(random() * 14)
    }
    if (day >= silentUntil && random() < 0.012) silentUntil = day + 3 + Math.floor(random() * 12)
    const quotes = random() < diligence * (weekend ? 0.35 : 1)
    return quotes && day >= silentUntil ? price : null
  }
}

function portsOf(region: string): string[] {
  const below = new Set(DEMO_REGIONS.filter(({ parent }) => parent === region).map(({ slug }) => slug))
  return DEMO_PORTS.filter((port) => below.has(port.region)).map(({ code }) => code)
}

/** Some of all pairs, in order, each as likely as the others. */
function choosePairs(origs: string[], dests: string[], count: number, random: () => number): [string, string][] {
  const all = origs.flatMap((orig) => dests.map((dest): [string, string] => [orig, dest]))
  let left = Math.min(count, all.length)
  return all.filter((_, i) => {
    const chosen = random() < left / (all.length - i)
    if (chosen) left--
    return chosen
  })
}
