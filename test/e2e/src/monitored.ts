import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startPrometheus } from '@rates/local/prometheus'
import { startLine, type Line } from '@rates/testing/line'
import { startApiProcess, startWorkerProcess, type ServiceProcess } from '@rates/testing/workers'

const RULES = fileURLToPath(new URL('../../../charts/rates/files/rules/*.yaml', import.meta.url))

export interface Series {
  metric: Record<string, string>
  value: [time: number, value: string]
}

/** A line with an API and workers, and a Prometheus that scrapes them by the rules that are shipped. */
export interface Monitored {
  line: Line
  url: string
  workers: ServiceProcess[]
  prometheus: string
  /** The management ports of all processes, as URLs. */
  management: string[]
  /** @throws with what Prometheus says of the query */
  query(expr: string): Promise<Series[]>
}

export interface MonitoredOptions {
  partitions?: number
  /** How many, and their settings. */
  workers?: number
  settings?: Record<string, string>
  /** The API's. */
  api?: Record<string, string>
  /** What is done before any of them starts. */
  prepare?: ((line: Line) => Promise<unknown>) | undefined
}

export async function startMonitored(options: MonitoredOptions = {}): Promise<Monitored> {
  const { partitions = 4, workers: count = 1, settings = {}, api: apiSettings = {}, prepare } = options
  const line = await startLine({ partitions })
  try {
    await prepare?.(line)
    const [api, ...workers] = await Promise.all([
      startApiProcess(line, apiSettings),
      ...Array.from({ length: count }, () => startWorkerProcess(line, settings)),
    ])
    const said = await Promise.all([api.said('listening'), ...workers.map((each) => each.said('worker started'))])
    const [apiPort, ...workerPorts] = said.map(({ managementPort }) => `127.0.0.1:${String(managementPort)}`)
    const dir = await mkdtemp(join(tmpdir(), 'rates-prometheus-'))
    line.defer(() => rm(dir, { recursive: true, force: true }))
    const prometheus = await startPrometheus({
      dir: join(dir, 'data'),
      port: 0,
      everySeconds: 1,
      jobs: { 'rates-api': [apiPort!], ingest: workerPorts },
      rules: [RULES],
    })
    line.defer(() => prometheus.stop())
    return {
      line,
      url: api.url,
      workers,
      prometheus: prometheus.url,
      management: [apiPort!, ...workerPorts].map((host) => `http://${host}`),
      query: (expr) => query(prometheus.url, expr),
    }
  } catch (error) {
    await line.close()
    throw error
  }
}

async function query(prometheus: string, expr: string): Promise<Series[]> {
  const answer = await fetch(`${prometheus}/api/v1/query`, {
    method: 'POST',
    body: new URLSearchParams({ query: expr }),
  })
  const told = (await answer.json()) as { status: string; error?: string; data: { result: Series[] } }
  if (told.status !== 'success') throw new Error(`${told.error ?? answer.status}: ${expr}`)
  return told.data.result
}
