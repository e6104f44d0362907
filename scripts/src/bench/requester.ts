/** The process that sends reads and times them: apart, so that nothing of the benchmark's own delays it. */
import { readRatesQuery, type QueryParameters } from '@rates/core/rates-query'
import { createPool } from '@rates/service/postgres'
import { createLogger } from '@rates/service/log'
import { Catalog } from '@rates/rates-api/catalog'
import { Rates } from '@rates/rates-api/rates'
import { HttpConnection } from './http-connection.ts'
import { closedModel, openModel, type Sample, type Send } from './load-model.ts'
import { cpuSeconds } from './processes.ts'

export interface Work {
  /** Over HTTP, or by the API's own query path, called without HTTP. */
  by: 'http' | 'call'
  /** The API's, or the database's. */
  url: string
  connections: number
  /** Requests a second in an open model; without it each connection sends one after the other. */
  rate?: number
  /** Sent before the time that counts. */
  warmUpSeconds: number
  /** It ends earlier when told `stop`. */
  seconds: number
  /** Sent in turn. */
  requests: readonly QueryParameters[]
}

export interface Answer {
  samples: Sample[]
  seconds: number
  /** Of this process, while it measured. */
  cpuSeconds: number
}

async function opened({ by, url, connections, requests }: Work): Promise<{ send: Send; close: () => Promise<void> }> {
  if (by === 'call') {
    const pool = createPool(url, { name: 'bench-reads', max: connections, log: createLogger('bench', 'warn') })
    const rates = new Rates(pool, new Catalog(pool))
    const send: Send = async (_, request) => {
      const query = readRatesQuery(requests[request % requests.length]!)
      if (typeof query === 'string') throw new Error(query)
      await rates.read(query)
    }
    return { send, close: () => pool.end() }
  }
  const paths = requests.map((parameters) => `/rates?${new URLSearchParams(parameters as Record<string, string>)}`)
  const open = await Promise.all(Array.from({ length: connections }, () => HttpConnection.open(url)))
  const send: Send = async (connection, request) => {
    const path = paths[request % paths.length]!
    const status = await open[connection]!.get(path)
    if (status !== 200) throw new Error(`GET ${path}: ${status}`)
  }
  return { send, close: async () => open.forEach((each) => each.close()) }
}

async function run(work: Work, stop: AbortSignal): Promise<Answer> {
  const { send, close } = await opened(work)
  const { connections, rate, seconds, warmUpSeconds } = work
  await closedModel(send, { connections, seconds: warmUpSeconds, signal: stop })
  process.send!('started')
  const started = performance.now()
  const cpu = await cpuSeconds(process.pid)
  const options = { connections, seconds, signal: stop }
  const samples = rate === undefined ? await closedModel(send, options) : await openModel(send, { ...options, rate })
  const answer = {
    samples,
    seconds: (performance.now() - started) / 1000,
    cpuSeconds: (await cpuSeconds(process.pid)) - cpu,
  }
  await close()
  return answer
}

const stop = new AbortController()
process.on('message', (message: Work | 'stop') => {
  if (message === 'stop') return stop.abort()
  void run(message, stop.signal).then(
    (answer) => process.send!(answer, () => process.exit(0)),
    (error: Error) => process.send!({ failed: error.stack ?? error.message }, () => process.exit(1)),
  )
})
