import { type QueryParameters } from '@rates/core/rates-query'
import { type Bench } from './bench.ts'
import { grouped, median, type Spread } from './numbers.ts'
import { findPgbench, makeRowPerPrice, runPgbench, scripts } from './pgbench.ts'
import { cpuSeconds } from './processes.ts'
import { request, spreadOf, startRequests } from './requests.ts'
import { benchCodes } from './rows.ts'

export interface Throughput {
  perSecond: number
  spread: Spread
  /** Of a core, in microseconds a request: the API's process, or the caller's. */
  cpuMicros: number
}

/** The query path by so many connections, without HTTP. */
export interface Called {
  connections: number
  call: Throughput
  /** Transactions a second of `pgbench -M prepared`; null: there is none here. */
  rowPerPrice: number | null
  packs: number | null
}

export interface ThroughputResult {
  http: Throughput
  called: Called[]
  /** Of the row-per-price table. */
  peerRows: number
}

/** Reads as fast as they go, over HTTP, called in process, and the SQL alone by pgbench: in turn, and the medians. */
export async function measureThroughput(
  bench: Bench,
  requests: readonly QueryParameters[],
  historyMonths: number,
  connections: number,
): Promise<ThroughputResult> {
  const { plan, site, step, dir } = bench
  const api = await site.useApi()
  const pgbench = await findPgbench()
  const months = Math.max(2, Math.round(historyMonths / 10))
  const peerRows = pgbench === undefined ? 0 : await makeRowPerPrice(site, months)
  const script = scripts(benchCodes.length, months, historyMonths)
  const timing = { warmUpSeconds: plan.quick ? 0.3 : 2, seconds: plan.readSeconds, requests }
  const sql = async (text: string, count: number): Promise<number | null> =>
    pgbench === undefined
      ? null
      : runPgbench(pgbench, site, text, { dir, connections: count, seconds: plan.readSeconds })
  const http: Throughput[] = []
  const called: Called[] = []
  for (let run = 0; run < Math.min(3, plan.runs); run++) {
    http.push(await overHttp({ ...timing, connections }, api))
    for (const count of [connections, 1]) {
      const call = await inProcess({ ...timing, connections: count }, site.url)
      called.push({
        connections: count,
        call,
        rowPerPrice: await sql(script.rowPerPrice, count),
        packs: await sql(script.packs, count),
      })
    }
    const last = called.at(-2)!
    const told = (value: number | null): string => (value === null ? 'none' : grouped(value))
    step(
      `  ${grouped(http[run]!.perSecond)} over HTTP, ${grouped(last.call.perSecond)} called, ` +
        `${told(last.rowPerPrice)} by pgbench (${told(last.packs)} of our statement)`,
    )
  }
  await site.db.query('drop schema if exists peer cascade')
  const both = [connections, 1].map((count): Called => {
    const of = called.filter((each) => each.connections === count)
    const tps = (all: (number | null)[]): number | null => {
      const known = all.filter((each) => each !== null)
      return known.length === 0 ? null : median(known)
    }
    return {
      connections: count,
      call: middle(of.map((each) => each.call)),
      rowPerPrice: tps(of.map((each) => each.rowPerPrice)),
      packs: tps(of.map((each) => each.packs)),
    }
  })
  return { http: middle(http), called: both, peerRows }
}

function middle(all: readonly Throughput[]): Throughput {
  const at = median(all.map((each) => each.perSecond))
  return all.find((each) => each.perSecond === at)!
}

type Timing = Omit<Parameters<typeof request>[0], 'by' | 'url'>

async function inProcess(timing: Timing, url: string): Promise<Throughput> {
  const { perSecond, spread, cpuSeconds: cpu, samples } = await request({ ...timing, by: 'call', url })
  return { perSecond, spread, cpuMicros: (cpu / samples.length) * 1e6 }
}

async function overHttp(timing: Timing, api: { url: string; pid: number }): Promise<Throughput> {
  const { answer } = await startRequests({ ...timing, by: 'http', url: api.url })
  const before = await cpuSeconds(api.pid)
  const { samples, seconds } = await answer
  const cpu = (await cpuSeconds(api.pid)) - before
  return { perSecond: samples.length / seconds, spread: spreadOf(samples), cpuMicros: (cpu / samples.length) * 1e6 }
}
