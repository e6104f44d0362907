import { createServer } from 'node:net'
import { CoreV1Api, KubeConfig, type V1Pod } from '@kubernetes/client-node'
import { eventually } from '@rates/testing/eventually'
import { kubectl } from './programs.ts'

/** The cluster of KUBECONFIG. */
export interface Kube {
  config: KubeConfig
  core: CoreV1Api
}

export function connectKube(): Kube {
  const config = new KubeConfig()
  config.loadFromDefault()
  return { config, core: config.makeApiClient(CoreV1Api) }
}

/** Where NodePorts are reached from this machine. On kind its ports are mapped to this machine's, by kind-config.yaml. */
export async function nodeAddress({ core }: Kube, told: string | undefined): Promise<string> {
  if (told !== undefined) return told
  const { items } = await core.listNode()
  if (items[0]?.spec?.providerID?.startsWith('kind://')) return '127.0.0.1'
  const address = items[0]?.status?.addresses?.find(({ type }) => type === 'InternalIP')?.address
  if (address === undefined) throw new Error('the first node has no InternalIP: tell where NodePorts are, by --node')
  return address
}

/** Where pods reach this machine: as it was told, else where it is the first node itself. On kind a node is a container. */
export async function hostAddress({ core }: Kube, told: string | undefined): Promise<string | undefined> {
  if (told !== undefined) return told
  const { items } = await core.listNode()
  const internal = items[0]?.status?.addresses?.find(({ type }) => type === 'InternalIP')?.address
  return internal !== undefined && (await isOurs(internal)) ? internal : undefined
}

/** By listening there: the list of interfaces leaves out a bridge that no pod is attached to at the moment. */
function isOurs(address: string): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(0, address, () => server.close(() => resolve(true)))
  })
}

/** An empty namespace in which the API server takes restricted pods only. */
export async function freshNamespace(name: string): Promise<void> {
  await deleteNamespace(name)
  await kubectl(['create', 'namespace', name])
  const labels = ['enforce=restricted', 'enforce-version=latest'].map((label) => `pod-security.kubernetes.io/${label}`)
  await kubectl(['label', 'namespace', name, ...labels])
}

/** Those with a label, of earlier runs: the ports of the nodes are theirs until they are gone. */
export async function deleteNamespaces(label: string): Promise<void> {
  const args = ['delete', 'namespace', '-l', label, '--ignore-not-found', '--wait', '--timeout=180s']
  await kubectl(args, { timeout: 200_000 })
}

export async function deleteNamespace(name: string): Promise<void> {
  await kubectl(['delete', 'namespace', name, '--ignore-not-found', '--wait', '--timeout=180s'], { timeout: 200_000 })
}

export async function podsOf({ core }: Kube, namespace: string, labels: Record<string, string>): Promise<V1Pod[]> {
  const labelSelector = Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
  return (await core.listNamespacedPod({ namespace, labelSelector })).items
}

export const isReady = (pod: V1Pod): boolean =>
  pod.metadata?.deletionTimestamp === undefined &&
  pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true

/** Asks the API server to evict a pod, again while a PodDisruptionBudget forbids it. @returns how often it was refused */
export async function evict({ core }: Kube, namespace: string, name: string, within = 120_000): Promise<number> {
  let refused = 0
  const done = await eventually(
    async () => {
      try {
        await core.createNamespacedPodEviction({ namespace, name, body: { metadata: { name, namespace } } })
        return true
      } catch (error) {
        if ((error as { code?: number }).code !== 429) return error as Error
        refused++
        return false
      }
    },
    { within, every: 500, what: `the eviction of ${name}` },
  )
  if (done !== true) throw done
  return refused
}

/** Everything that is left in a namespace but what the cluster itself puts there, as `kind/name`. */
export async function everythingIn(namespace: string): Promise<string[]> {
  const kinds = (await kubectl(['api-resources', '--verbs=list', '--namespaced', '-o', 'name'])).trim().split('\n')
  const passing = /^(events|leases|endpoints|endpointslices|controllerrevisions|podmetrics|pods\.metrics)/
  const asked = kinds.filter((kind) => !passing.test(kind)).join(',')
  const listed = await kubectl(['get', asked, '-n', namespace, '-o', 'name', '--ignore-not-found'])
  return listed
    .split('\n')
    .filter((line) => line !== '' && !/^(configmap\/kube-root-ca\.crt|serviceaccount\/default)$/.test(line))
    .sort()
}
