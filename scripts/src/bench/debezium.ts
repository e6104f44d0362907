import { execFile } from 'node:child_process'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { cached } from '@rates/local/cache'
import { runMaven } from '@rates/local/java'
import { anyFreePort } from '@rates/local/ports'
import { spawnLogged } from '@rates/local/processes'
import { connectAdmin } from '@rates/service/kafka-admin'
import { type OutgoingRecord } from '@rates/service/kafka'
import { type Bench } from './bench.ts'
import { peakBytes } from './processes.ts'
import { benchRows, type RowsSpec } from './rows.ts'

export const DEBEZIUM = '3.6.0.Final'
export const CONNECT = '4.3.1'
export const BATCH_SIZE = 10_000
export const TASKS = 2
const TOPIC = 'peer.prices'
const pom = fileURLToPath(new URL('../../debezium-pom.xml', import.meta.url))

/** Kafka Connect's jars in `libs`, the connector in `plugins`: from Maven Central at the first use. */
export async function fetchDebezium(step: (text: string) => void): Promise<string> {
  return cached(`debezium-${DEBEZIUM}-connect-${CONNECT}`, async (draft) => {
    step('downloading Kafka Connect and Debezium (91 MB, once)')
    await runMaven(['-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${path.join(draft, 'libs')}`])
    const plugins = path.join(draft, 'plugins')
    await mkdir(plugins)
    const artifact = `io.debezium:debezium-connector-jdbc:${DEBEZIUM}:tar.gz:plugin`
    await runMaven(['dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${draft}`], undefined, draft)
    const archive = (await readdir(draft)).find((name) => name.endsWith('.tar.gz'))!
    await promisify(execFile)('tar', ['-xzf', path.join(draft, archive), '-C', plugins])
  })
}

/** Puts the rows into a topic of their own, a record each, as JSON. */
export async function sendRows({ site, kafka }: Bench, spec: RowsSpec): Promise<void> {
  const admin = await connectAdmin({ brokers: [kafka.brokers], clientId: 'bench', log: site.log })
  await admin.createTopic(TOPIC, 12, 1, {})
  await admin.close()
  for (const piece of benchRows(spec)) {
    const records = piece
      .toString()
      .trimEnd()
      .split('\n')
      .map((line): OutgoingRecord => {
        const [orig_code, dest_code, day, price] = line.split(',')
        // A date is told as days from 1970-01-01, as Connect's own type is.
        const row = { orig_code, dest_code, day: Date.parse(day!) / 86_400_000, price: Number(price) }
        return { topic: TOPIC, headers: {}, value: Buffer.from(JSON.stringify(row)) }
      })
    await site.producer.send(records)
  }
}

const field = (name: string, type: string): object => ({ field: name, type, optional: false })
const SCHEMA = {
  type: 'struct',
  name: 'price',
  optional: false,
  fields: [
    field('orig_code', 'string'),
    field('dest_code', 'string'),
    { ...field('day', 'int32'), name: 'org.apache.kafka.connect.data.Date', version: 1 },
    field('price', 'int32'),
  ],
}

const properties = (values: Record<string, string | number>): string =>
  Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')

/** Tuned: the schema told once and not in each record, many rows a statement, large fetches, two tasks. */
async function configure(bench: Bench, jars: string, name: string, table: string): Promise<string[]> {
  const dir = path.join(bench.dir, name)
  await mkdir(dir)
  const { hostname, port, pathname, username, password } = new URL(bench.site.url)
  const worker = {
    'bootstrap.servers': bench.kafka.brokers,
    'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
    'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'value.converter.schemas.enable': 'true',
    'value.converter.schema.content': JSON.stringify(SCHEMA),
    'offset.storage.file.filename': path.join(dir, 'offsets'),
    'plugin.path': path.join(jars, 'plugins'),
    listeners: `http://127.0.0.1:${await anyFreePort()}`,
    'consumer.max.poll.records': 20_000,
    'consumer.fetch.min.bytes': 1_000_000,
  }
  const sink = {
    name,
    'connector.class': 'io.debezium.connector.jdbc.JdbcSinkConnector',
    'tasks.max': TASKS,
    topics: TOPIC,
    'connection.url': `jdbc:postgresql://${hostname}:${port}${pathname}`,
    'connection.username': username,
    'connection.password': password,
    'insert.mode': 'insert',
    'primary.key.mode': 'none',
    'schema.evolution': 'none',
    'collection.name.format': table,
    'batch.size': BATCH_SIZE,
    'dialect.postgres.unnest.insert.enabled': 'true',
    'consumer.override.auto.offset.reset': 'earliest',
  }
  const files = [path.join(dir, 'worker.properties'), path.join(dir, 'sink.properties')]
  await writeFile(files[0]!, properties(worker))
  await writeFile(files[1]!, properties(sink))
  return files
}

/**
 * Starts Connect and waits until the table has all rows. The time counts from the first rows in the table, which leaves
 * out its start. @returns seconds, and the highest memory of its process
 */
export async function runDebezium(
  bench: Bench,
  jars: string,
  table: string,
  rows: number,
): Promise<{ seconds: number; peakBytes: number }> {
  const name = `sink-${table.replaceAll('.', '-')}-${Date.now()}`
  const files = await configure(bench, jars, name, table)
  const main = ['-cp', path.join(jars, 'libs', '*'), 'org.apache.kafka.connect.cli.ConnectStandalone', ...files]
  const log = path.join(bench.dir, `${name}.log`)
  const connect = await spawnLogged(bench.kafka.java, ['-Xmx1g', ...main], { log })
  let ended = false
  void connect.exited.then(() => (ended = true))
  try {
    let first: number | undefined
    let grown = 0
    let size = 0
    for (const deadline = Date.now() + 600_000; ; await sleep(50)) {
      const { rows: found } = await bench.site.db.query<{ size: number }>(
        'select pg_relation_size($1::regclass)::float8 as size',
        [table],
      )
      const now = performance.now()
      if (found[0]!.size > 0) first ??= now
      if (found[0]!.size !== size) grown = now
      size = found[0]!.size
      // Counting takes a while of a core: only when the table has stopped growing. The time is that of its last growth.
      if (first !== undefined && now - grown > 1_000) {
        const count = await bench.site.db.query<{ n: number }>(`select count(*)::int as n from ${table}`)
        if (count.rows[0]!.n >= rows)
          return { seconds: (grown - first) / 1000, peakBytes: await peakBytes(connect.pid) }
        grown = performance.now()
      }
      if (ended || Date.now() > deadline) throw new Error(`Kafka Connect has not got through:\n${await connect.said()}`)
    }
  } finally {
    await connect.stop('SIGTERM', 5_000)
  }
}
