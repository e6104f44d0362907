import { type Section, warmWorkers, type Bench } from '../bench.ts'
import { makeHistory } from '../history.ts'
import { grouped, ms, seconds, short, spread, times, type Spread } from '../numbers.ts'
import { loadBatch, newBatchId, send, untilEnded, whileFrozen } from '../product.ts'
import { monthRead, monthReads, monthsFrom, request, startRequests } from '../requests.ts'
import { FIRST_YEAR } from '../rows.ts'
import { REGIONS } from '../site.ts'
import { atLeast, atMost, type Check, type Table } from '../table.ts'
import { measureThroughput, type Called, type Throughput, type ThroughputResult } from '../throughput.ts'

/** The original Flask service behind gunicorn with 4 workers, on 2 cores: measured before, its dump has no index. */
const FLASK = 419
const CONNECTIONS = 8

export interface ReadsResult extends ThroughputResult {
  history: number
  rate: number
  idle: Spread
  regionRate: number
  regionIdle: Spread
  busy: { seconds: number; batches: number; rows: number; pair: Spread; region: Spread }
}

type Reading = Omit<Parameters<typeof request>[0], 'seconds'>

/** GET /rates beside the history: as fast as it goes, at a steady rate, and during batches. */
export const reads: Section<ReadsResult> = {
  async run(bench) {
    const { plan, site, step } = bench
    await warmWorkers(bench, site, 2)
    const history = await makeHistory(site, plan.historyRows, step)
    const { url } = await site.useApi()
    const months = monthsFrom(FIRST_YEAR, 1 - history.months, history.months)
    const old = monthReads(20_000, months)
    const throughput = await measureThroughput(bench, old, history.months, CONNECTIONS)
    // One in five reads is of the months that the batches fill.
    const fresh = monthReads(4_000, monthsFrom(FIRST_YEAR, 1, 3))
    const requests = old.map((each, i) => (i % 5 === 4 ? fresh[i % fresh.length]! : each))
    const steady = { by: 'http', url, connections: CONNECTIONS, warmUpSeconds: 1 } as const
    const pair: Reading = { ...steady, rate: plan.rate, requests }
    const regionRate = Math.max(20, plan.rate / 50)
    const region: Reading = {
      ...steady,
      rate: regionRate,
      requests: months.map((month) => monthRead(...REGIONS, month)),
    }
    const idle = await request({ ...pair, seconds: plan.readSeconds })
    const regionIdle = await request({ ...region, seconds: plan.readSeconds })
    const busy = await whileBusy(bench, pair, region)
    return {
      ...throughput,
      history: history.rows,
      rate: plan.rate,
      idle: idle.spread,
      regionRate,
      regionIdle: regionIdle.spread,
      busy,
    }
  },

  tables: (result) => [throughputTable(result), latencyTable(result)],

  checks({ http, called: [all], busy }): Check[] {
    const { call, rowPerPrice, connections } = all!
    const batches = `${short(busy.rows)}-row batches`
    const flask = `GET /rates at ${connections} connections, of the Flask service's ${FLASK} a second`
    return [
      atLeast(flask, http.perSecond / FLASK, 10, times),
      ...(rowPerPrice === null
        ? []
        : [atLeast('query path in process, of pgbench on a row per price', call.perSecond / rowPerPrice, 1, times)]),
      atMost(`p99 of one pair during ${batches}`, busy.pair.p99, 10, ms),
      atMost(`p99 of region to region during ${batches}`, busy.region.p99, 60, ms),
    ]
  },
}

/** The batches lie in Kafka before the reads begin: the producer's work, which is not the platform's, disturbs nobody. */
async function whileBusy(bench: Bench, pair: Reading, region: Reading): Promise<ReadsResult['busy']> {
  const { plan, site, inputs, step } = bench
  const file = await inputs.csv({ rows: plan.rows, order: 'pair' })
  const { loadSeconds } = await loadBatch(site, file, 'pace')
  const count = Math.min(60, Math.ceil((plan.busySeconds * 1.15) / loadSeconds) + 1)
  const ids = Array.from({ length: count }, () => newBatchId('busy'))
  const length = { seconds: plan.busySeconds }
  const { result, started } = await whileFrozen(site, async () => {
    for (const batchId of ids) await send(site, file, { batchId })
    return Promise.all([startRequests({ ...pair, ...length }), startRequests({ ...region, ...length })])
  })
  const from = performance.timeOrigin + started
  const ended = untilEnded(site, ids).then(() => performance.timeOrigin + performance.now())
  const [pairs, regions] = await Promise.all([result[0].answer, result[1].answer])
  const { rows } = await site.db.query<{ n: number }>(
    `select count(*)::int as n from batches where id = any ($1) and state = 'succeeded'`,
    [ids],
  )
  const to = Math.min(await ended, from + plan.busySeconds * 1000)
  const during = (samples: typeof pairs.samples): Spread =>
    spread(samples.flatMap(({ at, ms: took }) => (at >= from && at < to ? [took] : [])))
  const busySeconds = (to - from) / 1000
  const batches = rows[0]!.n
  step(`  ${batches} batches of ${plan.rows} rows in ${busySeconds.toFixed(1)} s beside the reads`)
  return {
    seconds: busySeconds,
    batches,
    rows: plan.rows,
    pair: during(pairs.samples),
    region: during(regions.samples),
  }
}

function throughputTable({ history, http, called, peerRows }: ReadsResult): Table {
  const line = (name: string, { perSecond, spread: { p50, p99 }, cpuMicros }: Throughput): string[] => [
    name,
    grouped(perSecond),
    times(perSecond / FLASK),
    ms(p50),
    ms(p99),
    cpuMicros > 0 ? `${cpuMicros.toFixed(0)} us` : '',
  ]
  const clients = (count: number): string => (count === 1 ? '1 connection' : `${count} connections`)
  const sql = (name: string, tps: number | null): string[][] =>
    tps === null ? [] : [[name, grouped(tps), times(tps / FLASK), '', '', '']]
  const block = ({ connections, call, rowPerPrice, packs }: Called): string[][] => [
    line(`query path called in process, ${clients(connections)}`, call),
    ...sql(`\`pgbench -M prepared\`, SQL over a row per price, ${clients(connections)}`, rowPerPrice),
    ...sql(`\`pgbench -M prepared\`, our statement alone, ${clients(connections)}`, packs),
  ]
  const share = 1 - called[0]!.call.cpuMicros / http.cpuMicros
  const peer =
    peerRows === 0
      ? 'There is no pgbench here.'
      : `The row per price: ${grouped(peerRows)} rows in the order of an index on (orig, dest, day) that has the price too.`
  return {
    title: `GET /rates, a month of one pair, as fast as it goes, ${short(history)} rows in the tables`,
    head: ['', 'reads/s', 'of the Flask service', 'p50', 'p99', 'CPU of Node'],
    rows: [line(`over HTTP, ${clients(CONNECTIONS)}`, http), ...called.flatMap(block)],
    note: `HTTP takes ${(share * 100).toFixed(0)} % of the API's own time for a read. ${peer}`,
  }
}

function latencyTable({ rate, idle, regionRate, regionIdle, busy }: ReadsResult): Table {
  const line = (name: string, of: Spread, beside?: Spread): string[] => [
    name,
    grouped(of.count),
    ms(of.p50),
    ms(of.p99),
    ms(of.max),
    beside ? times(of.p99 / beside.p99) : '',
  ]
  const batches = `during ${busy.batches} batches of ${short(busy.rows)} rows (${seconds(busy.seconds)})`
  return {
    title: `GET /rates at a steady rate: a month of one pair ${rate} times a second, region to region (10 x 10 ports) ${regionRate}`,
    head: ['', 'requests', 'p50', 'p99', 'longest', 'p99, of idle'],
    rows: [
      line('one pair, nothing else runs', idle),
      line(`one pair, ${batches}`, busy.pair, idle),
      line('region to region, nothing else runs', regionIdle),
      line(`region to region, ${batches}`, busy.region, regionIdle),
    ],
  }
}
