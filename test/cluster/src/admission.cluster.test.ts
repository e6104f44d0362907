import { readdirSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { eventually } from '@rates/testing/eventually'
import { parseAllDocuments } from 'yaml'
import { deleteNamespace, freshNamespace } from './kube.ts'
import { helm, kubectl } from './programs.ts'
import { root } from './settings.ts'

/** Whether the API server takes what the charts render, in a namespace that enforces Pod Security "restricted". */
const NAMESPACE = 'rates-admission'
const WORKLOADS = ['Deployment', 'StatefulSet', 'Job']
/** Of custom resources that a cluster need not know; kubeconform checks them by their schemas. */
const CUSTOM = /^(monitoring\.coreos\.com|keda\.sh|gateway\.networking\.k8s\.io)\//
const PRIORITY = 'business'

interface Manifest {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string }
  spec?: {
    ports?: { nodePort?: number }[]
    template?: { metadata: object; spec: { volumes: object[] } }
    volumeClaimTemplates?: { metadata: { name: string } }[]
  }
}

const files = (folder: string): string[] => readdirSync(path.join(root, folder)).map((name) => path.join(folder, name))

/** Chart and values: those that the tests of the charts and the environments use. */
const sets: [string, string][] = [
  ...['rates', 'rates-dev'].flatMap((chart) =>
    files(`charts/${chart}/ci`).map((file): [string, string] => [chart, file]),
  ),
  ...['dev', 'staging', 'production'].flatMap((environment) =>
    files(`k8s/environments/${environment}`).map((file): [string, string] => [path.basename(file, '.yaml'), file]),
  ),
]

const apply = (manifests: readonly Manifest[], ...options: string[]): Promise<string> =>
  kubectl(['apply', '--server-side', '-n', NAMESPACE, ...options, '-f', '-'], {
    input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests }),
  })

beforeAll(async () => {
  await freshNamespace(NAMESPACE)
  const account = (): Promise<unknown> =>
    kubectl(['get', 'serviceaccount', 'default', '-n', NAMESPACE]).catch(() => undefined)
  await eventually(account, { within: 30_000, what: 'the account of the namespace' })
  const priority = {
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name: PRIORITY },
    value: 1000,
  }
  await apply([priority as Manifest])
}, 240_000)

afterAll(async () => {
  await kubectl(['delete', 'priorityclass', PRIORITY, '--ignore-not-found'])
  await deleteNamespace(NAMESPACE)
}, 240_000)

test('the namespace refuses what is not restricted', async () => {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'root' },
    spec: { containers: [{ name: 'root', image: 'root' }] },
  }
  await expect(apply([pod as unknown as Manifest], '--dry-run=server')).rejects.toThrow(
    /violates PodSecurity "restricted/,
  )
})

describe.each(sets)('%s with %s', (chart, file) => {
  test('is taken, and its pods, too', async () => {
    const text = await helm([
      'template',
      chart,
      path.join(root, 'charts', chart),
      '-n',
      NAMESPACE,
      '-f',
      path.join(root, file),
    ])
    const manifests = parseAllDocuments(text)
      .map((document) => document.toJS() as Manifest | null)
      .filter((each): each is Manifest => each !== null && !CUSTOM.test(each.apiVersion))
    // A pod is refused where its account is not there.
    const accounts = manifests.filter(({ kind }) => kind === 'ServiceAccount')
    if (accounts.length > 0) await apply(accounts, '--force-conflicts')
    // A port of the nodes may be somebody else's already.
    for (const { spec } of manifests) for (const port of spec?.ports ?? []) delete port.nodePort
    const pods = manifests.flatMap((manifest) => (WORKLOADS.includes(manifest.kind) ? [podOf(manifest)] : []))
    expect(pods.length).toBeGreaterThan(0)
    const said = await apply([...manifests, ...pods], '--dry-run=server', '--force-conflicts')
    const lines = said.trim().split('\n')
    expect(lines.filter((line) => !line.endsWith(' (server dry run)'))).toEqual([])
    expect(lines).toHaveLength(manifests.length + pods.length)
  })
})

/** What the controller would make of it: only pods are refused by Pod Security, their owners are not. */
function podOf({ metadata: { name }, spec }: Manifest): Manifest {
  const { metadata, spec: pod } = spec!.template!
  const claimed = (spec?.volumeClaimTemplates ?? []).map(({ metadata: claim }) => ({
    name: claim.name,
    persistentVolumeClaim: { claimName: claim.name },
  }))
  const volumes = [...pod.volumes, ...claimed]
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, name: `${name}-pod` },
    spec: { ...pod, volumes } as never,
  }
}
