import { setTimeout as sleep } from 'node:timers/promises'
import { warmWorkers, type Section } from '../bench.ts'
import { grouped, ms, times, type Spread } from '../numbers.ts'
import { loadSmall, sendSmall, untilEnded } from '../product.ts'
import { monthRead, monthsFrom, request } from '../requests.ts'
import { benchCodes, daysOf, FIRST_YEAR } from '../rows.ts'
import { type Site } from '../site.ts'
import { atLeast, atMost, type Check } from '../table.ts'

/** Seconds after which batches of this section are merged, so that it need not wait for the default of a minute. */
const COMPACT_AFTER_SECONDS = '2'

interface Reads {
  http: Spread
  packs: number
}

export interface SmallResult {
  rowsPerBatch: number
  batches: number
  /** Batches a second that lie in Kafka already. */
  atFirst: number
  afterAll: number
  /** While they are sent and loaded at the same time: seconds from the start, batches visible so far. */
  course: { seconds: number; batches: number }[]
  fresh: Reads
  loaded: Reads
  merged: Reads
  /** From the last batch until everything was merged; null: it was not, within the time that it was given. */
  mergeSeconds: number | null
}

/** Many small batches on the same pairs and months, and what reads of those pairs take. */
export const small: Section<SmallResult> = {
  async run(bench) {
    const { plan, site, inputs, step } = bench
    await warmWorkers(bench, site, 2, { env: { COMPACT_AFTER_SECONDS } })
    await site.empty()
    const { files, rows } = await inputs.split({ rows: plan.rows, order: 'pair' }, plan.smallCut)
    const file = files[0]!
    const days = daysOf(plan.rows)
    const pairs = Math.max(1, Math.floor(rows / 2.5 / days))
    const months = monthsFrom(FIRST_YEAR, 1, Math.max(1, Math.ceil(days / 31)))
    // The file's pairs: from the first port to those after it.
    const requests = Array.from({ length: 500 }, (_, i) =>
      monthRead(benchCodes[0]!, benchCodes[1 + (i % Math.min(pairs, 74))]!, months[i % months.length]!),
    )
    const read = async (): Promise<Reads> => {
      const { url } = await site.useApi()
      // Few enough for a table of many packs to keep up with.
      const timing = { connections: 8, rate: plan.rate / 10, warmUpSeconds: 1, seconds: plan.readSeconds * 2 }
      const { spread } = await request({ by: 'http', url, ...timing, requests })
      return { http: spread, packs: await packsOf(site) }
    }
    const part = Math.max(5, Math.min(1_000, Math.round(plan.smallBatches / 10)))
    const many = (count: number): string[] => Array.from({ length: count }, () => file)
    await loadSmall(site, many(1), 'one')
    await read() // the API's code is compiled
    const fresh = await read()
    await loadSmall(site, many(part), 'warm') // one-record batches take a path of their own: its JIT is cold
    const atFirst = part / (await loadSmall(site, many(part), 'first'))
    step(`  at first ${atFirst.toFixed(0)} batches/s`)
    const course = await sendAndFollow(site, many(Math.max(1, plan.smallBatches - 2 * part)))
    const afterAll = part / (await loadSmall(site, many(part), 'after'))
    step(`  after ${plan.smallBatches} of them ${afterAll.toFixed(0)} batches/s`)
    const ended = performance.now()
    const packs = await packsOf(site)
    const loaded = await read()
    const mergedAll = await untilMerged(site, packs, plan.quick ? 15_000 : 240_000)
    const mergeSeconds = mergedAll ? (performance.now() - ended) / 1000 : null
    const merged = await read()
    await site.useWorkers(2)
    await site.empty()
    const counts = { rowsPerBatch: rows, batches: plan.smallBatches }
    return { ...counts, atFirst, afterAll, course, fresh, loaded, merged, mergeSeconds }
  },

  tables: (result) => [
    {
      title: `Batches of ${grouped(result.rowsPerBatch)} rows on the same pairs and months, two workers`,
      head: ['', 'batches/s'],
      rows: [
        ['at first', grouped(result.atFirst)],
        [`after ${grouped(result.batches)} of them`, grouped(result.afterAll)],
        ['on the way, sent and loaded at the same time', grouped(pace(result.course))],
      ],
    },
    {
      title: 'GET /rates of those pairs, a month each, steady load',
      head: ['', 'packs', 'p50', 'p99', 'p99, of fresh'],
      rows: (
        [
          ['fresh table', result.fresh],
          [`after ${grouped(result.batches)} batches`, result.loaded],
          ['once they are merged', result.merged],
        ] as const
      ).map(([name, { http, packs }]) => [
        name,
        grouped(packs),
        ms(http.p50),
        ms(http.p99),
        times(http.p99 / result.fresh.http.p99),
      ]),
      note:
        result.mergeSeconds === null
          ? 'Merging did not come to its end in the time that it was given.'
          : `Merged ${result.mergeSeconds.toFixed(0)} s after the last batch (COMPACT_AFTER_SECONDS=${COMPACT_AFTER_SECONDS}).`,
    },
  ],

  checks: ({ rowsPerBatch, batches, atFirst, afterAll, fresh, merged }): Check[] => {
    const rate = (value: number): string => `${grouped(value)} batches/s`
    return [
      atLeast(`batches of ${grouped(rowsPerBatch)} rows, two workers`, atFirst, 150, rate),
      atLeast(`the same after ${grouped(batches)} of them on the same pairs`, afterAll, 150, rate),
      atMost('read p99 after those, of that on a fresh table', merged.http.p99 / fresh.http.p99, 2, times),
    ]
  },
}

const pace = (course: SmallResult['course']): number => {
  const last = course.at(-1)!
  return last.batches / last.seconds
}

/** Sends all of them while the workers load, and looks each second how far they are. */
async function sendAndFollow(site: Site, files: readonly string[]): Promise<SmallResult['course']> {
  const course: SmallResult['course'] = []
  const started = performance.now()
  const before = await visible(site)
  const sent = sendSmall(site, files, 'many')
  let arrived = false
  void sent.then(
    () => (arrived = true),
    () => (arrived = true),
  )
  while (!arrived || course.at(-1)!.batches < files.length) {
    await sleep(Math.min(1_000, files.length))
    const batches = (await visible(site)) - before
    course.push({ seconds: (performance.now() - started) / 1000, batches })
    if (performance.now() - started > 900_000) throw new Error(`${files.length - batches} batches did not end`)
  }
  await untilEnded(site, await sent)
  return course
}

async function visible(site: Site): Promise<number> {
  const { rows } = await site.db.query<{ n: number }>(
    `select count(*)::int as n from batches where state = 'succeeded'`,
  )
  return rows[0]!.n
}

async function packsOf(site: Site): Promise<number> {
  return (await site.db.query<{ n: number }>('select count(*)::int as n from price_packs')).rows[0]!.n
}

/** Until the number of packs has fallen and stays; given up where nothing is merged at all. */
async function untilMerged(site: Site, loaded: number, withinMs: number): Promise<boolean> {
  let packs = loaded
  let calm = 0
  for (const deadline = Date.now() + withinMs; Date.now() < deadline; await sleep(1_000)) {
    const now = await packsOf(site)
    calm = now === packs ? calm + 1 : 0
    packs = now
    if (packs < loaded && calm >= 8) return true
    if (packs >= loaded && calm >= 45) return false
  }
  return false
}
