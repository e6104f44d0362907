// Starts one PostgreSQL and one Kafka for the whole run, in a process of their own (src/servers.ts), which starts an
// object store too when a test asks for it.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('src/servers.ts', import.meta.url))

export default async function setup() {
  const env = process.env
  const told = ['RATES_TEST_DATABASE_URL', 'RATES_TEST_BROKERS', 'RATES_TEST_TEMPLATE', 'RATES_TEST_ON_DEMAND']
  if (told.every((name) => env[name])) return
  const flags = ['--conditions=source', '--disable-warning=ExperimentalWarning']
  const { NODE_OPTIONS: _jest, ...rest } = env
  const servers = spawn(process.execPath, [...flags, program], { stdio: ['pipe', 'pipe', 'inherit'], env: rest })
  globalThis.ratesTestServers = servers
  const { databaseUrl, template, brokers, onDemand } = await new Promise((resolve, reject) => {
    createInterface({ input: servers.stdout }).once('line', (line) => resolve(JSON.parse(line)))
    servers.once('error', reject)
    servers.once('exit', (code) => reject(new Error(`the test servers did not start (exit code ${code})`)))
  })
  env.RATES_TEST_DATABASE_URL = databaseUrl
  env.RATES_TEST_TEMPLATE = template
  env.RATES_TEST_BROKERS = brokers
  env.RATES_TEST_ON_DEMAND = onDemand
}
