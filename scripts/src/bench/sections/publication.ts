import { setTimeout as sleep } from 'node:timers/promises'
import { revertIn } from '@rates/service/ledger/revert'
import { withTransaction } from '@rates/service/postgres'
import { warmWorkers, type Bench, type Section } from '../bench.ts'
import { type Sample } from '../load-model.ts'
import { ms, short, spread, type Spread } from '../numbers.ts'
import { loadBatch, newBatchId, send, untilEnded, whileFrozen } from '../product.ts'
import { monthReads, monthsFrom, startRequests } from '../requests.ts'
import { FIRST_YEAR } from '../rows.ts'
import { type Site } from '../site.ts'
import { atMost } from '../table.ts'

const KINDS = ['published', 'replaced', 'reverted'] as const
type Kind = (typeof KINDS)[number]

const TOLD: Record<Kind, string> = {
  published: 'published',
  replaced: 'published in place of another batch',
  reverted: 'reverted, and the batch before them shown again',
}

/** When a batch became visible (or hidden): from when to when, in milliseconds since 1970. */
interface Instant {
  kind: Kind
  rows: number
  from: number
  to: number
}

export interface PublicationResult {
  waits: { kind: Kind; rows: number; count: number; http: number; call: number }[]
  /** With the slow query but without a publication. */
  quiet: { http: Spread; call: Spread }
  /** How long the other session's query takes, in seconds. */
  slowSeconds: number
}

/** Reads each few milliseconds, over HTTP and by the query path alone, beside a session that scans all prices. */
export const publication: Section<PublicationResult> = {
  async run(bench) {
    const { plan, site, inputs } = bench
    await warmWorkers(bench, site, 2)
    await site.empty()
    const [small, , base, big] = plan.sizes
    await loadBatch(site, await inputs.csv({ rows: big, order: 'pair' }), 'seen')
    const api = await site.useApi()
    const requests = monthReads(500, monthsFrom(FIRST_YEAR, 1, 3))
    const steady = { connections: 4, rate: 250, warmUpSeconds: 0.5, seconds: 600, requests }
    const http = await startRequests({ ...steady, by: 'http', url: api.url })
    const call = await startRequests({ ...steady, by: 'call', url: site.url })
    const slow = startSlowQuery(site)
    const quietFrom = Date.now()
    await sleep(plan.readSeconds * 500)
    const quietTo = Date.now()
    const instants: Instant[] = []
    const counts = plan.quick ? [2, 1, 1] : [10, 3, 2]
    for (const [i, rows] of [small, base, big].entries()) {
      const file = await inputs.csv({ rows, order: 'pair' })
      for (let n = 0; n < counts[i]!; n++) instants.push(...(await showAndHide(bench, file, rows)))
    }
    const slowSeconds = await slow.stop()
    http.stop()
    call.stop()
    const samples = { http: (await http.answer).samples, call: (await call.answer).samples }
    const within = (all: readonly Sample[], from: number, to: number): Sample[] =>
      all.filter((each) => each.at <= to && each.at + each.ms >= from)
    const longest = (all: readonly Sample[], of: readonly Instant[]): number =>
      Math.max(0, ...of.flatMap(({ from, to }) => within(all, from, to).map((each) => each.ms)))
    const waits = [small, base, big].flatMap((rows) =>
      KINDS.map((kind) => {
        const of = instants.filter((each) => each.rows === rows && each.kind === kind)
        return { kind, rows, count: of.length, http: longest(samples.http, of), call: longest(samples.call, of) }
      }),
    )
    const quiet = (all: readonly Sample[]): Spread => spread(within(all, quietFrom, quietTo).map((each) => each.ms))
    await site.empty()
    return { waits, quiet: { http: quiet(samples.http), call: quiet(samples.call) }, slowSeconds }
  },

  tables: ({ waits, quiet, slowSeconds }) => [
    {
      title: 'Longest wait of a reader at the instant in which prices appear, change or go',
      head: ['', 'times', 'over HTTP', 'query alone'],
      rows: [
        ...waits.map(({ kind, rows, count, http, call }) => [
          `${short(rows)} rows ${TOLD[kind]}`,
          String(count),
          ms(http),
          ms(call),
        ]),
        ['nothing is published: longest', '', ms(quiet.http.max), ms(quiet.call.max)],
        ['nothing is published: p99', '', ms(quiet.http.p99), ms(quiet.call.p99)],
      ],
      note: `All the time another session runs a query over all prices on one core, ${slowSeconds.toFixed(1)} s each time.`,
    },
  ],

  checks: ({ waits }) => [
    atMost(
      'longest wait of a reader by a publication, replacement or revert',
      Math.max(...waits.map(({ http }) => http)),
      50,
      ms,
    ),
  ],
}

/** Publishes the file, then once more in place of the batch that it gave, and takes that back. */
async function showAndHide({ site, step }: Bench, file: string, rows: number): Promise<Instant[]> {
  const instants: Instant[] = []
  let last: string | undefined
  for (const kind of ['published', 'replaced'] as const) {
    const batchId = newBatchId('shown')
    await whileFrozen(site, () => send(site, file, { batchId, ...(last !== undefined && { replaces: last }) }))
    await untilEnded(site, [batchId])
    instants.push({ kind, rows, ...(await instantOf(site, batchId)) })
    await sleep(100) // reads that the instant delayed are answered
    last = batchId
  }
  const from = Date.now()
  const reverted = await withTransaction(site.db, (client) => revertIn(client, last!, false, 1))
  if (reverted.kind !== 'reverted') throw new Error(`not reverted: ${reverted.message}`)
  instants.push({ kind: 'reverted', rows, from, to: Date.now() + 20 })
  await sleep(100)
  step(`  ${rows} rows published, replaced and reverted`)
  return instants
}

/** From a little before its outcome was written until it was seen. */
async function instantOf(site: Site, batchId: string): Promise<{ from: number; to: number }> {
  const to = Date.now()
  const { rows } = await site.db.query<{ at: number }>(
    'select extract(epoch from finished_at)::float8 * 1000 as at from batches where id = $1',
    [batchId],
  )
  return { from: rows[0]!.at - 20, to: to + 20 }
}

/** A session that goes over all prices again and again. stop() tells how long one query took, in seconds. */
function startSlowQuery(site: Site): { stop(): Promise<number> } {
  let stopped = false
  let pid = 0
  const took: number[] = []
  const started = performance.now()
  const loop = (async () => {
    const client = await site.db.connect()
    await client.query('set max_parallel_workers_per_gather = 0') // it has one core of two, and not both
    pid = (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid
    while (!stopped) {
      const from = performance.now()
      const text = 'select orig_code, count(*), avg(price) from prices group by 1'
      await client.query(text).then(
        () => took.push((performance.now() - from) / 1000),
        (error: Error) => {
          if (!stopped) throw error
        },
      )
    }
    client.release(true) // its setting goes with it
  })()
  loop.catch(() => undefined) // told by stop()
  return {
    async stop() {
      stopped = true
      await site.db.query('select pg_cancel_backend($1)', [pid])
      await loop
      return Math.max((took.length === 0 ? performance.now() - started : 0) / 1000, ...took)
    },
  }
}
