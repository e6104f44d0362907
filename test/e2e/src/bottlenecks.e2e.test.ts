import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { expect, it } from '@jest/globals'
import { findJava } from '@rates/local/java'
import { javaFlags } from '@rates/local/kafka'
import { fetchKafka } from '@rates/local/kafka-jars'
import { type OutgoingRecord } from '@rates/service/kafka'
import { csv, randomLines } from '@rates/testing/batches'
import { eventually } from '@rates/testing/eventually'
import { type Line } from '@rates/testing/line'
import { describeWithPrometheus } from '@rates/testing/with-prometheus'
import { startMonitored, type Monitored } from './monitored.ts'

/** Within this time both have to name the bottleneck. */
const WITHIN_SECONDS = 120
/** And go on naming it. */
const STAYS_SECONDS = 10

interface Scenario {
  stage: string
  cause: string
  settings?: Record<string, string>
  /** What is there before the worker. */
  prepare?: (line: Line) => Promise<unknown>
  /** What makes the bottleneck, until the line is closed. */
  make: (line: Line, worker: string) => Promise<void>
  records: (line: Line) => Promise<(nth: number) => OutgoingRecord[]>
}

const lines = (rows: number): string[] => randomLines(rows, { seed: 1, month: '2030-05', sorted: false })

/** Small batches, a record each. */
const smallBatches = (line: Line) => {
  const value = csv(lines(200))
  return Promise.resolve((nth: number) => [
    { topic: line.topics.batches, headers: { 'batch-id': `small-${nth}`, 'content-type': 'text/csv' }, value },
  ])
}

/** Does something again and again until the line is closed. */
function repeat(line: Line, step: () => Promise<void>): void {
  let stopped = false
  const loop = (async () => {
    while (!stopped) await step()
  })()
  line.defer(async () => {
    stopped = true
    await loop
  })
}

/** Holds a lock for most of the time, in bursts. */
async function holdInBursts(line: Line, lock: string, heldMs: number, freeMs: number): Promise<void> {
  const client = await line.pool.connect()
  line.defer(() => Promise.resolve(client.release()))
  repeat(line, async () => {
    await client.query(`begin; ${lock}`)
    await sleep(heldMs)
    await client.query('commit')
    await sleep(freeMs)
  })
}

/** Kafka's own tool: the client library knows nothing of quotas. */
async function limitFetching(line: Line, client: string, bytesPerSecond: number): Promise<void> {
  const change = async (...config: string[]): Promise<void> => {
    const entity = ['--entity-type', 'clients', '--entity-name', client]
    const server = ['--bootstrap-server', line.brokers[0]!]
    const jars = join(await fetchKafka(), '*')
    const tool = ['-cp', jars, 'kafka.admin.ConfigCommand', ...server, '--alter', ...entity, ...config]
    await promisify(execFile)((await findJava())!, [...javaFlags, ...tool])
  }
  await change('--add-config', `consumer_byte_rate=${bytesPerSecond}`)
  line.defer(() => change('--delete-config', 'consumer_byte_rate'))
}

const scenarios: Record<string, Scenario> = {
  'a session that locks the packs': {
    stage: 'copy',
    cause: 'db_lock',
    make: (line) => holdInBursts(line, 'lock table price_packs in share mode', 3_000, 300),
    records: smallBatches,
  },
  'a PostgreSQL that is slow to write': {
    stage: 'copy',
    cause: 'db',
    make: async (line) => {
      await line.pool.query(`
        create function slow_disk() returns trigger language plpgsql as $$ begin perform pg_sleep(0.2); return null; end $$;
        create trigger slow_disk after insert on price_packs for each statement execute function slow_disk()`)
    },
    records: smallBatches,
  },
  'a pool of one connection that something else holds': {
    stage: 'copy',
    cause: 'pool',
    settings: { DATABASE_POOL: '1' },
    // Another worker sends the replies: waiting as this one's loop does, its relay could be named as well.
    prepare: (line) =>
      line.pool.query(`insert into leases values ($1, 'another', now() + interval '1 hour')`, [`${line.prefix}relay`]),
    // The renewal of the other leases waits for the lock, with the one connection.
    make: (line) => holdInBursts(line, 'lock table leases in exclusive mode', 8_000, 300),
    records: smallBatches,
  },
  'a broker that throttles the worker': {
    stage: 'fetch',
    cause: 'broker',
    make: (line, worker) => limitFetching(line, worker, 50_000),
    records: smallBatches,
  },
  'rows that take long to check': {
    stage: 'validate',
    cause: 'cpu',
    make: () => Promise.resolve(),
    // Each row has a fault that is told, and little of it goes over the wire; of a batch that fails nothing is stored.
    records(line) {
      const value = Buffer.from('{"price":1}\n'.repeat(30_000))
      const headers = { 'content-type': 'application/x-ndjson', 'dry-run': 'true' }
      return Promise.resolve((nth) => [
        { topic: line.topics.bulk, headers: { ...headers, 'batch-id': `bad-${nth}` }, value },
      ])
    },
  },
}

/** Keeps records waiting in Kafka, so that it is never the sender that the worker waits for. */
async function keepBusy(line: Line, records: Scenario['records']): Promise<void> {
  const record = await records(line)
  let sent = 0
  repeat(line, async () => {
    let waiting = 0n
    for (const lane of ['batches', 'bulk'] as const) {
      const progress = await line.admin.progress(line.groups[lane], line.topics[lane])
      waiting += progress.reduce((sum, { high, committed, low }) => sum + high - (committed ?? low), 0n)
    }
    if (waiting < 100n) await line.send(Array.from({ length: 100 }, () => record(sent++)).flat())
    else await sleep(100)
  })
}

interface Named {
  stage: string
  cause: string
}

/** What Prometheus' recording rule names: one series, or none. */
async function byRule({ query }: Monitored): Promise<Named | undefined> {
  const found = await query('rates:bottleneck:info')
  expect(found.length).toBeLessThanOrEqual(1)
  const { stage, cause } = found[0]?.metric ?? {}
  return found.length === 0 ? undefined : { stage: stage!, cause: cause! }
}

interface Page {
  verdict: Named | null
  backlog: { rows: number } | null
}

/** A machine that is busy with all of these may once take too long to connect: that is told, and asked again. */
const readPage = ({ url }: Monitored): Promise<Page> =>
  eventually(
    async () => {
      const answer = await fetch(`${url}/bottleneck`)
      return answer.ok && ((await answer.json()) as Page)
    },
    { within: 30_000, every: 500, what: 'an answer of /bottleneck' },
  )

async function byPage(system: Monitored): Promise<Named | undefined> {
  const { verdict } = await readPage(system)
  return verdict === null ? undefined : { stage: verdict.stage, cause: verdict.cause }
}

type Said = [named: string, atSecond: number][]

/** What the rule and the page named, and from when on, until both have named the right one for some time. */
async function listen(system: Monitored, right: string): Promise<{ rule: Said; page: Said }> {
  const since = Date.now()
  const said: { rule: Said; page: Said } = { rule: [], page: [] }
  for (let rightSince = Infinity; ; await sleep(1_000)) {
    const second = Math.round((Date.now() - since) / 1000)
    for (const [who, ask] of [['rule', byRule] as const, ['page', byPage] as const]) {
      const named = await ask(system)
      const text = named ? `${named.stage} ${named.cause}` : 'none'
      if (said[who].at(-1)?.[0] !== text) said[who].push([text, second])
    }
    const isRight = said.rule.at(-1)![0] === right && said.page.at(-1)![0] === right
    rightSince = isRight ? Math.min(rightSince, second) : Infinity
    if (second - rightSince >= STAYS_SECONDS || (!isRight && second > WITHIN_SECONDS)) return said
  }
}

async function check(scenario: Scenario): Promise<void> {
  const { stage, cause, settings = {}, prepare, make, records } = scenario
  const system = await startMonitored({ workers: 1, partitions: 2, settings, prepare })
  const { line, workers } = system
  try {
    await make(line, workers[0]!.name)
    await keepBusy(line, records)
    const right = `${stage} ${cause}`
    const said = await listen(system, right)
    // All that they said is in the message.
    expect({ said, ends: [said.rule.at(-1)![0], said.page.at(-1)![0]] }).toMatchObject({ ends: [right, right] })
    // Who looks at Kafka for all workers needs a connection, too.
    if (cause !== 'pool') expect((await readPage(system)).backlog?.rows).toBeGreaterThan(0)
  } finally {
    await line.close()
  }
}

describeWithPrometheus('the verdict, by the recording rule and on /bottleneck', () => {
  // These wait nearly all of the time, so that they do not take each other's CPU.
  const waiting = Object.entries(scenarios).filter(([, { cause }]) => cause !== 'cpu')
  it.concurrent.each(waiting)('names %s', (_, scenario) => check(scenario), 240_000)

  it.concurrent(
    'names none where there is little to do',
    async () => {
      const system = await startMonitored({ workers: 1, partitions: 2 })
      try {
        const { line, query } = system
        const record = await smallBatches(line)
        let sent = 0
        repeat(line, async () => {
          await line.send(record(sent++))
          await sleep(2_000)
        })
        await sleep(40_000) // the start of a worker is work, of which a minute's rates tell at first
        for (const until = Date.now() + 40_000; Date.now() < until; await sleep(1_000)) {
          expect(await byRule(system)).toBeUndefined()
          expect(await byPage(system)).toBeUndefined()
        }
        // It was looked at, and had something to do.
        const [score] = await query('sum(rates:stage_score:ratio_rate1m)')
        expect(Number(score?.value[1])).toBeGreaterThan(0)
      } finally {
        await system.line.close()
      }
    },
    240_000,
  )

  it('names rows that take long to check', () => check(scenarios['rows that take long to check']!), 240_000)
})
