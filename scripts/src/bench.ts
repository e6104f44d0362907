/**
 * `npm run bench`: the same rows into the same PostgreSQL, side by side in one run: this product (rows in Kafka ->
 * visible), `\copy` into the original service's table, and a bare COPY into a heap. Figures depend on the machine:
 * read the ratios.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { migrate } from '@rates/db/migrate'
import { startKafka } from '@rates/local/kafka'
import { startPostgres } from '@rates/local/postgres'
import { type LoggedProcess, spawnLogged } from '@rates/local/processes'
import { connectProducer } from '@rates/service/kafka'
import { connectAdmin } from '@rates/service/kafka-admin'
import { Lifecycle } from '@rates/service/lifecycle'
import { createLogger } from '@rates/service/log'
import { ensureTopics, topicNames } from '@rates/service/topics'
import pg from 'pg'
import { bareHeap, copyFile, copyProgram, originalSchema } from './bench/copy.ts'
import { loadBatch, type ProductRun } from './bench/product.ts'
import { benchCodes, benchRows } from './bench/rows.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const log = createLogger('bench', 'warn')

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    runs: { type: 'string', default: '3' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

const HELP = `npm run bench -- [options]

  --rows N     rows of the batch (1000000)
  --runs N     runs of each contender, the median is told (3)
  --quick      200000 rows, one run: for CI
  --json FILE  also write the figures as JSON

It starts a PostgreSQL, a Kafka broker and two workers of its own and removes them afterwards.`

interface Figure {
  contender: string
  seconds: number
  rowsPerSecond: number
  walBytesPerRow: number
  peakBytes?: number
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!

async function bench(
  rows: number,
  runs: number,
  lifecycle: Lifecycle,
): Promise<{ figures: Figure[]; sendSeconds: number; program: string }> {
  const step = (text: string): void => void process.stderr.write(`${text}\n`)
  const dir = await mkdtemp(path.join(os.tmpdir(), 'rates-bench-'))
  lifecycle.defer('folder', () => rm(dir, { recursive: true, force: true }))
  step('starting PostgreSQL and Kafka')
  const postgres = await startPostgres({ dir: path.join(dir, 'postgres'), port: 0, extra: { shared_buffers: '1GB' } })
  lifecycle.defer('postgres', () => postgres.stop())
  const kafka = await startKafka({ dir: path.join(dir, 'kafka'), port: 0 })
  lifecycle.defer('kafka', () => kafka.stop())
  await migrate(postgres.url)
  const db = new pg.Pool({ connectionString: postgres.url, max: 2 })
  lifecycle.defer('connections', () => db.end())
  await db.query(`insert into regions (slug, name) values ('bench', 'Bench')`)
  await db.query(
    `insert into ports (code, name, parent_slug) select code, code, 'bench' from unnest($1::text[]) code`,
    [benchCodes],
  )
  const settings = { brokers: kafka.brokers.split(','), clientId: 'bench', log }
  const admin = await connectAdmin(settings)
  await ensureTopics(admin, '')
  await admin.close()
  const topics = topicNames('')
  const producer = await connectProducer(settings)
  lifecycle.defer('producer', () => producer.close())

  step('starting two workers')
  const workers: LoggedProcess[] = []
  for (const i of [1, 2]) {
    const worker = await spawnLogged(
      process.execPath,
      ['--max-semi-space-size=4', path.join(root, 'services/ingest/dist/main.js')],
      {
        log: path.join(dir, `ingest-${i}.log`),
        env: {
          ...process.env,
          DATABASE_URL: postgres.url,
          KAFKA_BROKERS: kafka.brokers,
          WORKER_NAME: `ingest-${i}`,
          MANAGEMENT_PORT: '0',
          HOST: '127.0.0.1',
        },
      },
    )
    workers.push(worker)
    lifecycle.defer(`worker ${i}`, () => void process.kill(worker.pid, 'SIGKILL'))
  }

  const measure = async (work: () => Promise<number>): Promise<{ seconds: number; wal: number }> => {
    await db.query('checkpoint')
    const before = await db.query<{ at: string }>('select pg_current_wal_lsn() as at')
    const seconds = await work()
    const { rows: after } = await db.query<{ wal: number }>(
      'select pg_wal_lsn_diff(pg_current_wal_lsn(), $1)::float8 as wal',
      [before.rows[0]!.at],
    )
    return { seconds, wal: after[0]!.wal }
  }
  const figures: Figure[] = []
  const compare = async (
    contender: string,
    once: (run: number) => Promise<{ seconds: number; wal: number; peakBytes?: number }>,
  ): Promise<void> => {
    const all = []
    for (let run = 0; run < runs; run++) {
      all.push(await once(run))
      step(`  ${contender}: ${all.at(-1)!.seconds.toFixed(2)} s`)
    }
    const seconds = median(all.map((each) => each.seconds))
    const peak = Math.max(...all.map((each) => each.peakBytes ?? 0))
    figures.push({
      contender,
      seconds,
      rowsPerSecond: Math.round(rows / seconds),
      walBytesPerRow: Math.round(median(all.map((each) => each.wal)) / rows),
      ...(peak > 0 && { peakBytes: peak }),
    })
  }

  // The first batches find a cold JIT and no partitions: they count for nobody.
  await loadBatch(db, producer, topics, [], 'warm-up', benchRows(200_000, 'pair'))
  const sends: number[] = []
  for (const order of ['pair', 'random'] as const) {
    await compare(order === 'pair' ? 'this, in order of pairs' : 'this, in random order', async (run) => {
      let result: ProductRun | undefined
      const measured = await measure(async () => {
        result = await loadBatch(db, producer, topics, workers, `${order}-${run}`, benchRows(rows, order))
        return result.loadSeconds
      })
      if (order === 'pair') sends.push(result!.sendSeconds)
      return { ...measured, peakBytes: result!.peakBytes }
    })
  }
  const program = await copyProgram()
  const file = path.join(dir, 'rows.csv')
  const narrow = path.join(dir, 'narrow.csv')
  const ids = new Map(benchCodes.map((code, i) => [code, i + 1]))
  await writeFile(file, benchRows(rows, 'pair'))
  await writeFile(narrow, narrowRows(rows, ids))
  const copy = program === 'psql' ? '\\copy' : 'COPY by pg'
  for (const [contender, schema, table, source] of [
    [`${copy}, original schema`, originalSchema(true), 'original.prices', file],
    [`${copy}, original, no keys`, originalSchema(false), 'original.prices', file],
    [`${copy}, bare heap of ids`, bareHeap, 'bare.prices', narrow],
  ] as const) {
    await compare(contender, async () => {
      await db.query(schema)
      return measure(() => copyFile(postgres.url, table, source, program))
    })
  }
  return { figures, sendSeconds: median(sends), program }
}

function* narrowRows(rows: number, ids: Map<string, number>): Generator<string> {
  for (const piece of benchRows(rows, 'pair')) {
    const lines = piece.toString().trimEnd().split('\n')
    yield lines.map((line) => `${ids.get(line.slice(0, 5))},${ids.get(line.slice(6, 11))}${line.slice(11)}\n`).join('')
  }
}

function table(figures: readonly Figure[]): string {
  const ours = figures[0]!
  const lines = figures.map((figure) => {
    const ratio = figure === ours ? '' : `${(figure.seconds / ours.seconds).toFixed(1)} x`
    const memory = figure.peakBytes === undefined ? '' : `${Math.round(figure.peakBytes / 2 ** 20)} MiB`
    return [
      figure.contender,
      `${figure.seconds.toFixed(2)} s`,
      figure.rowsPerSecond.toLocaleString('en'),
      ratio,
      `${figure.walBytesPerRow}`,
      memory,
    ]
  })
  const head = ['', 'time', 'rows/s', 'our time', 'WAL B/row', 'peak of a worker']
  const widths = head.map((_, i) => Math.max(...[head, ...lines].map((line) => line[i]!.length)))
  return [head, ...lines]
    .map((line) => line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '))
    .join('\n')
}

if (options.help) console.log(HELP)
else {
  const rows = options.quick ? 200_000 : Number(options.rows)
  const lifecycle = new Lifecycle()
  process.once('SIGINT', () => void lifecycle.stop().finally(() => process.exit(130)))
  try {
    const { figures, sendSeconds } = await bench(rows, options.quick ? 1 : Number(options.runs), lifecycle)
    console.log(`\n${rows.toLocaleString('en')} rows, ${os.availableParallelism()} cores, everything on this machine\n`)
    console.log(table(figures))
    console.log(
      `\nThe producer's side, apart: ${Math.round(rows / sendSeconds).toLocaleString('en')} rows/s cut, hashed and acknowledged.`,
    )
    if (options.json) {
      await mkdir(path.dirname(path.resolve(options.json)), { recursive: true })
      await writeFile(options.json, `${JSON.stringify({ rows, sendSeconds, figures }, null, 2)}\n`)
    }
  } finally {
    await lifecycle.stop()
  }
}
