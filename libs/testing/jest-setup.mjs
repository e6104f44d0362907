// Starts one PostgreSQL and one Kafka for the whole run, in a process of their own (src/servers.ts).
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('src/servers.ts', import.meta.url))

export default async function setup() {
  const env = process.env
  if (env.RATES_TEST_DATABASE_URL && env.RATES_TEST_BROKERS && env.RATES_TEST_TEMPLATE) return
  const flags = ['--conditions=source', '--disable-warning=ExperimentalWarning']
  const { NODE_OPTIONS: _jest, ...rest } = env
  const servers = spawn(process.execPath, [...flags, program], { stdio: ['pipe', 'pipe', 'inherit'], env: rest })
  globalThis.ratesTestServers = servers
  const { databaseUrl, template, brokers } = await new Promise((resolve, reject) => {
    createInterface({ input: servers.stdout }).once('line', (line) => resolve(JSON.parse(line)))
    servers.once('error', reject)
    servers.once('exit', (code) => reject(new Error(`the test servers did not start (exit code ${code})`)))
  })
  env.RATES_TEST_DATABASE_URL = databaseUrl
  env.RATES_TEST_TEMPLATE = template
  env.RATES_TEST_BROKERS = brokers
}
