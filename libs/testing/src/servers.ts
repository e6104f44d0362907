// A process of its own, so that the servers end with the tests however these end: it stops them and removes their data
// when its standard input closes, which a killed test run does too.
import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readdir, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Missing } from '@rates/local/java'
import { startKafka } from '@rates/local/kafka'
import { objectStoreMark } from '@rates/local/object-store'
import { startPostgres } from '@rates/local/postgres'
import { endOrphans, isOurs } from '@rates/local/processes'
import { migrate } from '@rates/db/migrate'
import pg from 'pg'
import { offerObjectStore } from './on-demand.ts'

/** What jest-setup.mjs reads from standard output, as one line of JSON. */
export interface TestServers {
  databaseUrl: string
  template: string
  brokers: string
  /** Where to ask for what only some runs need. */
  onDemand: string
}

const roomNeeded = 3e9
const places = ['/dev/shm', tmpdir()]

/** Nothing here outlives the run: the disk need not be waited for. */
const postgresSettings = {
  fsync: 'off',
  full_page_writes: 'off',
  shared_buffers: '128MB',
  max_wal_size: '512MB',
  max_connections: '200',
}
const kafkaSettings = { 'log.index.size.max.bytes': '1048576', 'log.segment.delete.delay.ms': '1000' }

async function main() {
  const releases: (() => Promise<void>)[] = []
  const release = async () => {
    for (const step of releases.splice(0).reverse()) await step()
  }
  const closed = new Promise<void>((resolve) => process.stdin.once('close', resolve).resume())
  process.on('SIGINT', () => undefined) // a terminal's Ctrl-C is for the test runner: when it ends, our input closes
  try {
    await sweep()
    const servers = await start(releases)
    process.stdout.write(`${JSON.stringify(servers)}\n`)
    await closed
  } finally {
    await release()
  }
}

async function start(releases: (() => Promise<void>)[]): Promise<TestServers> {
  const given = { databaseUrl: process.env['RATES_TEST_DATABASE_URL'], brokers: process.env['RATES_TEST_BROKERS'] }
  const dir = await ownFolder()
  releases.push(() => rm(dir, { recursive: true, force: true }))
  const note = (text: string) => {
    if (text.startsWith('downloading')) process.stderr.write(`${text}\n`)
  }
  const database = async () => {
    if (given.databaseUrl !== undefined) return given.databaseUrl
    const extra = postgresSettings
    const server = await startPostgres({ dir: join(dir, 'postgres'), port: 0, extra, onProgress: note })
    releases.push(() => server.stop())
    return server.url
  }
  const broker = async () => {
    if (given.brokers !== undefined) return given.brokers
    const server = await startKafka({ dir: join(dir, 'kafka'), port: 0, extra: kafkaSettings, onProgress: note })
    releases.push(() => server.stop())
    return server.brokers
  }
  const withTemplate = async () => {
    const databaseUrl = await database()
    return { databaseUrl, template: await createTemplate(databaseUrl, releases) }
  }
  // Settled, not all: if one fails, the other must have been started before it can be stopped.
  const [left, right] = await Promise.allSettled([withTemplate(), broker()])
  if (left.status === 'rejected') throw left.reason
  if (right.status === 'rejected') throw right.reason
  return { ...left.value, brokers: right.value, onDemand: await offerObjectStore(join(dir, 'object-store'), releases) }
}

async function createTemplate(databaseUrl: string, releases: (() => Promise<void>)[]): Promise<string> {
  const template = `rates_template_${randomBytes(4).toString('hex')}`
  await execute(databaseUrl, `create database ${template}`)
  releases.push(() => execute(databaseUrl, `drop database ${template} with (force)`))
  const url = new URL(databaseUrl)
  url.pathname = `/${template}`
  await migrate(url.href)
  return template
}

async function execute(url: string, statement: string) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

/** In memory where there is room. Others may enter it: as root, PostgreSQL runs as another user. */
async function ownFolder(): Promise<string> {
  const name = `rates-test-${process.pid}-${randomBytes(4).toString('hex')}`
  for (const place of places) {
    const space = await statfs(place).catch(() => undefined)
    if (space !== undefined && (place === places.at(-1) || space.bavail * space.bsize > roomNeeded)) {
      const folder = join(place, name)
      await mkdir(folder)
      await chmod(folder, 0o755)
      return folder
    }
  }
  throw new Error(`there is no folder for the test servers among ${places.join(', ')}`)
}

/** What killed runs left: their servers, then their data. */
async function sweep() {
  for (const place of places) {
    for (const entry of await readdir(place).catch(() => [])) {
      const pid = Number(/^rates-test-(\d+)-[0-9a-f]{8}$/.exec(entry)?.[1])
      if (!pid || (await isOurs(pid, ['servers.']))) continue
      const folder = join(place, entry)
      await endOrphans([` -D ${folder}/postgres `], 'SIGQUIT', 2000)
      await endOrphans([`${folder}/kafka/server.properties`], 'SIGKILL', 2000)
      await endOrphans([objectStoreMark(join(folder, 'object-store'))], 'SIGKILL', 2000)
      await rm(folder, { recursive: true, force: true })
    }
  }
}

await main().catch((error: unknown) => {
  if (!(error instanceof Missing)) throw error
  process.stderr.write(`${error.message}\nTests take RATES_TEST_DATABASE_URL and RATES_TEST_BROKERS instead.\n`)
  process.exit(1) // our standard input is open still
})
