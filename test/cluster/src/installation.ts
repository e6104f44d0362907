import path from 'node:path'
import { eventually } from '@rates/testing/eventually'
import { connectKube, deleteNamespace, deleteNamespaces, freshNamespace, nodeAddress, type Kube } from './kube.ts'
import { helm, kubectl } from './programs.ts'
import { clusterSettings, root, type ClusterSettings } from './settings.ts'

export const RELEASE = 'rates'
export const DEV_RELEASE = 'rates-dev'
const INSTALLED = 'rates-e2e=installed'

/** The two charts in a namespace of their own, and where they are reached from outside the cluster. */
export interface Installation {
  kube: Kube
  settings: ClusterSettings
  namespace: string
  /** Just before the first `helm install`. */
  startedAt: number
  apiUrl: string
  brokers: string[]
  /** As the owner of everything. */
  databaseUrl: string
  /** `helm upgrade` with what is set, besides what every installation of the tests sets. */
  upgrade(set?: readonly string[], options?: { chart?: string; wait?: boolean }): Promise<void>
  /** Until all pods of the services are those of the last upgrade, and ready. */
  rolledOut(): Promise<void>
  uninstall(): Promise<void>
  /** Leaves nothing, unless it is to be kept. */
  close(): Promise<void>
}

export interface InstallOptions {
  set?: readonly string[]
  chart?: string
  /** What has to be in the namespace. */
  before?: (kube: Kube) => Promise<void>
}

export const chartOf = (name: 'rates' | 'rates-dev'): string => path.join(root, 'charts', name)

/** Puts PostgreSQL and Kafka into an empty namespace, and the services beside them at once: they wait for one another. */
export async function install(namespace: string, options: InstallOptions = {}): Promise<Installation> {
  const settings = clusterSettings()
  const kube = connectKube()
  const node = await nodeAddress(kube, settings.node)
  const { ports } = settings
  const { set = [], chart = chartOf('rates') } = options
  const values = [
    `image.tag=${settings.tag}`,
    `api.image.repository=${settings.repository}/rates-api`,
    `ingest.image.repository=${settings.repository}/ingest`,
    `test.image.repository=${settings.repository}/tools`,
    'api.service.type=NodePort',
    `api.service.nodePort=${ports.api}`,
    `database.host=${DEV_RELEASE}-postgres`,
    `kafka.brokers={${DEV_RELEASE}-kafka:9092}`,
    `database.existingSecret=${DEV_RELEASE}-postgres`,
    // What they take is up to the machine: all of it has to find a place on a small one, and its pods of two versions.
    ...['api', 'ingest', 'migration'].map((part) => `${part}.resources.requests.cpu=50m`),
  ]
  const given = (more: readonly string[]): string[] => [...values, ...more].flatMap((each) => ['--set', each])

  await deleteNamespaces(INSTALLED)
  await freshNamespace(namespace)
  await kubectl(['label', 'namespace', namespace, INSTALLED])
  await options.before?.(kube)
  const startedAt = Date.now()
  await helm([
    ...['install', DEV_RELEASE, chartOf('rates-dev'), '-n', namespace],
    ...['--set', `kafka.external.host=${node},kafka.external.nodePort=${ports.kafka}`],
    ...['--set', `postgres.nodePort=${ports.postgres},postgres.resources.requests.cpu=100m`],
    ...['--set', 'kafka.resources.requests.cpu=100m'],
  ])
  await helm(['install', RELEASE, chart, '-n', namespace, ...given(set)])
  const inNamespace = (args: readonly string[]): Promise<string> => kubectl([...args, '-n', namespace])
  const password = Buffer.from(
    await inNamespace(['get', 'secret', `${DEV_RELEASE}-postgres`, '-o', 'jsonpath={.data.postgres-password}']),
    'base64',
  ).toString()

  const rolledOut = async (): Promise<void> => {
    for (const name of [`${RELEASE}-api`, `${RELEASE}-ingest`]) {
      await inNamespace(['rollout', 'status', `deployment/${name}`, '--timeout=300s'])
    }
  }
  return {
    kube,
    settings,
    namespace,
    startedAt,
    apiUrl: `http://${node}:${ports.api}`,
    brokers: [`${node}:${ports.kafka}`],
    databaseUrl: `postgres://postgres:${encodeURIComponent(password)}@${node}:${ports.postgres}/rates`,
    async upgrade(more = [], { chart: other = chart, wait = true } = {}) {
      await helm(['upgrade', RELEASE, other, '-n', namespace, ...given([...set, ...more])])
      if (wait) await rolledOut()
    },
    rolledOut,
    async uninstall() {
      await helm(['uninstall', RELEASE, '-n', namespace, '--wait', '--timeout', '180s'])
      await helm(['uninstall', DEV_RELEASE, '-n', namespace, '--wait', '--timeout', '180s'])
    },
    async close() {
      if (settings.keep) return
      await deleteNamespace(namespace)
    },
  }
}

/** Waits for the API to answer with rates. @returns when it did, in milliseconds since 1970 */
export async function firstAnswer({ apiUrl }: Installation, query: string, within = 300_000): Promise<number> {
  await eventually(
    async () => (await fetch(`${apiUrl}/rates?${query}`, { signal: AbortSignal.timeout(5_000) })).status === 200,
    { within, every: 100, what: 'GET /rates being answered' },
  )
  return Date.now()
}
