import { type Batch } from '@rates/core/batch'
import { readApi } from '../api.ts'
import { askApi, askService, type ApiFacts, type ServiceFacts } from '../doctor/services.ts'
import { askPrometheus, type PrometheusFacts } from '../prometheus.ts'
import { chooseRunning, NothingRuns, type Running, type State } from '../running.ts'
import { askKafkaStatus, type KafkaStatus } from './lanes.ts'
import { askLedgerStatus, type LedgerStatus } from './ledger.ts'

/** What is known of one part, or why it is not. */
export type Part<T> = T | { fault: string }

export interface PlatformStatus {
  at: string
  /** Since when `npm start` runs here; null: it is a platform elsewhere. */
  startedAt: string | null
  api: Part<ApiFacts>
  services: ServiceFacts[]
  /** The one beside it; null: there is none. */
  prometheus: PrometheusFacts | null
  kafka: Part<KafkaStatus>
  ledger: Part<LedgerStatus>
  /** The open ones, newest first, 10 at most. */
  open: Part<Batch[]>
}

export interface Looked {
  state: State | undefined
  env: NodeJS.ProcessEnv
  /** Where the probes of services are that are not `npm start`'s. */
  services: readonly string[]
}

/** Everything at once; a part that cannot be reached says why. Never throws. */
export async function look({ state, env, services }: Looked): Promise<PlatformStatus> {
  const ask = async <P extends keyof Running, T>(
    part: P,
    work: (found: Pick<Running, P> & { prefix: string }) => Promise<T>,
  ): Promise<Part<T>> => {
    try {
      return await work(chooseRunning(state, env, [part]))
    } catch (error) {
      const inner: unknown = error instanceof AggregateError ? error.errors[0] : error
      if (error instanceof NothingRuns) return { fault: error.message }
      return { fault: (inner as Error).message }
    }
  }
  const ours = env['RATES_URL'] ? [] : (state?.processes ?? [])
  const probes = [
    ...ours.flatMap(({ name, managementUrl }) => (managementUrl ? [[name, managementUrl] as const] : [])),
    ...services.map((url) => [url, url.replace(/\/+$/, '')] as const),
  ]
  const prometheusUrl = env['RATES_URL'] ? undefined : state?.prometheusUrl
  const [api, kafka, ledger, open, prometheus, asked] = await Promise.all([
    ask('url', ({ url }) => askApi(url)),
    ask('brokers', ({ brokers, prefix }) => askKafkaStatus(brokers, prefix)),
    ask('databaseUrl', ({ databaseUrl }) => askLedgerStatus(databaseUrl)),
    ask('url', async ({ url }) => {
      const page = await readApi<{ batches: Batch[] }>(url, '/batches?state=pending,in_progress&limit=10')
      return page?.batches ?? []
    }),
    prometheusUrl === undefined ? null : askPrometheus(prometheusUrl),
    Promise.all(probes.map(([name, url]) => askService(name, url))),
  ])
  const startedAt = env['RATES_URL'] ? null : (state?.startedAt ?? null)
  asked.sort((a, b) => a.name.localeCompare(b.name))
  return { at: new Date().toISOString(), startedAt, api, services: asked, prometheus, kafka, ledger, open }
}

/** Whether what was asked has answered; that nobody said where the API is does not count. */
export const isComplete = ({ api, kafka, ledger }: PlatformStatus): boolean =>
  !('fault' in kafka) && !('fault' in ledger) && (!('url' in api) || api.fault === undefined)
