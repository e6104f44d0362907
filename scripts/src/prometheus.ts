import { join } from 'node:path'
import { type Jobs, startPrometheus, type RunningPrometheus } from '@rates/local/prometheus'
import { folders, root } from './home.ts'
import { type State } from './running.ts'

/** The rules of the chart: what alerts on a cluster alerts here. */
const rules = join(root, 'charts', 'rates', 'files', 'rules', '*.yaml')
const ANSWER_MILLISECONDS = 5_000

export interface PrometheusFacts {
  url: string
  ready: boolean
  /** Targets that do not answer, by their names. */
  down: string[]
}

/** Starts the Prometheus that scrapes what the state names. */
export function startMonitoring(
  state: Pick<State, 'processes'>,
  program: string | undefined,
  port: number,
): Promise<RunningPrometheus> {
  const log = join(folders.logs, 'prometheus.log')
  return startPrometheus({ dir: folders.prometheus, jobs: jobsOf(state), rules: [rules], program, port, log })
}

/** The management ports of all services, by job as they are on a cluster. */
export function jobsOf({ processes }: Pick<State, 'processes'>): Jobs {
  const jobs: Record<string, string[]> = { 'rates-api': [], ingest: [] }
  for (const { name, managementUrl } of processes) {
    if (managementUrl !== undefined) jobs[name === 'rates-api' ? name : 'ingest']!.push(new URL(managementUrl).host)
  }
  return jobs
}

/** Where a person looks first: the verdict as a table, and below it the scores it comes from. */
export function verdictUrl(prometheusUrl: string): string {
  const query = new URLSearchParams([
    ['g0.expr', 'rates:bottleneck:info'],
    ['g0.tab', '1'],
    ['g1.expr', 'rates:stage_score:ratio_rate1m'],
    ['g1.tab', '0'],
    ['g1.range_input', '30m'],
  ])
  return `${prometheusUrl}/graph?${query}`
}

/** Asks a Prometheus of ours how it is; never throws. */
export async function askPrometheus(url: string): Promise<PrometheusFacts> {
  try {
    const answer = await fetch(`${url}/api/v1/query?query=${encodeURIComponent('up == 0')}`, {
      signal: AbortSignal.timeout(ANSWER_MILLISECONDS),
    })
    const { data } = (await answer.json()) as { data: { result: { metric: { job: string; instance: string } }[] } }
    return { url, ready: answer.ok, down: data.result.map(({ metric }) => `${metric.job} ${metric.instance}`).sort() }
  } catch {
    return { url, ready: false, down: [] }
  }
}
