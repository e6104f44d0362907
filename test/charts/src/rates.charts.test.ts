import { beforeAll, describe, expect, test } from '@jest/globals'
import { program } from './programs.ts'
import { notes, only, render, renderText, type Manifest } from './render.ts'
import { valueSets } from './value-sets.ts'

const file = (name: string): string => valueSets.find((set) => set.name === name)!.file
const minimal = [file('rates minimal')]
const ha = [file('rates ha')]
const WORKLOADS = ['Deployment', 'StatefulSet', 'Job', 'Pod']

interface Container {
  name: string
  image: string
  env?: { name: string; value?: string; valueFrom?: object }[]
  volumeMounts: { name: string; subPath?: string }[]
  securityContext: object
  resources: { requests: object; limits: object }
}

const podOf = (manifest: Manifest): Manifest['spec'] =>
  (manifest.kind === 'Pod' ? manifest['spec'] : manifest['spec'].template.spec) as Manifest['spec']

const containersOf = (manifest: Manifest): Container[] => {
  const { initContainers = [], containers } = podOf(manifest) as {
    initContainers?: Container[]
    containers: Container[]
  }
  return [...initContainers, ...containers]
}

beforeAll(async () => void (await program('helm4')), 600_000)

describe.each(valueSets)('pods of $name', ({ chart, file: values }) => {
  test('may do nothing that they need not', async () => {
    const workloads = (await render(chart, { files: [values] })).filter(({ kind }) => WORKLOADS.includes(kind))
    for (const workload of workloads) {
      const pod = podOf(workload)
      expect(pod).toMatchObject({
        enableServiceLinks: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      })
      expect(pod.automountServiceAccountToken).toBe(false)
      for (const { securityContext, resources } of containersOf(workload)) {
        expect(securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        })
        expect(resources).toMatchObject({
          requests: { cpu: expect.anything(), memory: expect.anything() },
          limits: { memory: expect.anything() },
        })
      }
    }
    expect(workloads.length).toBeGreaterThan(1)
  })
})

describe('a rollout', () => {
  test('takes no pod before its successor is ready, and gives each the time to drain', async () => {
    const manifests = await render('rates', { files: minimal })
    for (const [name, grace, settings] of [
      ['-api', 65, { DRAIN_DELAY_SECONDS: '5', DRAIN_SECONDS: '50' }],
      ['-ingest', 60, { DRAIN_SECONDS: '50' }],
    ] as const) {
      const { spec } = only(manifests, 'Deployment', name)
      expect(spec.strategy).toEqual({ type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } })
      expect(spec.template.spec.terminationGracePeriodSeconds).toBe(grace)
      expect(only(manifests, 'ConfigMap', name)['data']).toMatchObject(settings)
      expect(only(manifests, 'PodDisruptionBudget', name)['spec']).toMatchObject({
        maxUnavailable: 1,
        unhealthyPodEvictionPolicy: 'AlwaysAllow',
      })
      expect(spec.template.spec.topologySpreadConstraints).toHaveLength(2)
    }
  })

  test('begins where settings change, and only there', async () => {
    const checksum = async (values: object): Promise<string[]> => {
      const manifests = await render('rates', { files: minimal, values })
      return ['-api', '-ingest'].map((name) => JSON.stringify(only(manifests, 'Deployment', name)['spec'].template))
    }
    const before = await checksum({})
    const changed = await checksum({ ingest: { settings: { chunksTogether: 5 } } })
    expect(changed[0]).toBe(before[0])
    expect(changed[1]).not.toBe(before[1])
    // Passwords are read from files: a new one restarts nothing.
    const given = (password: string): object => ({
      database: {
        existingSecret: '',
        users: Object.fromEntries(['migration', 'ingest', 'api'].map((user) => [user, { password }])),
      },
    })
    expect(await checksum(given('a'))).toEqual(await checksum(given('b')))
  })

  test('names a worker as its pod', async () => {
    const [, worker] = containersOf(only(await render('rates', { files: minimal }), 'Deployment', '-ingest'))
    expect(worker?.env).toEqual([{ name: 'WORKER_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }])
  })
})

describe('the number of pods', () => {
  test.each([
    ['nobody', {}, [2, 2], []],
    [
      'HPAs',
      { api: { autoscaling: { enabled: true } }, ingest: { autoscaling: { by: 'hpa' } } },
      [undefined, undefined],
      ['HorizontalPodAutoscaler', 'HorizontalPodAutoscaler'],
    ],
    ['KEDA', { ingest: { autoscaling: { by: 'keda' } } }, [2, undefined], ['ScaledObject']],
  ])('is left to its owner: %s', async (_, values, replicas, owners) => {
    const manifests = await render('rates', { files: minimal, values })
    expect(['-api', '-ingest'].map((name) => only(manifests, 'Deployment', name)['spec'].replicas as number)).toEqual(
      replicas,
    )
    const kinds = manifests.map(({ kind }) => kind)
    expect(kinds.filter((kind) => ['HorizontalPodAutoscaler', 'ScaledObject'].includes(kind))).toEqual(owners)
  })
})

describe('a Job', () => {
  const name = async (kind: string, files: string[], values: object): Promise<string> =>
    only(
      (await render('rates', { files, values })).filter(({ metadata }) => metadata.name.includes(`-${kind}-`)),
      'Job',
    ).metadata.name

  test.each(['migrate', 'import'])('%s keeps its name where only versions change', async (kind) => {
    const before = await name(kind, ha, {})
    expect(before).toMatch(new RegExp(`^rates-${kind}-[0-9a-f]{8}$`))
    const digest = `sha256:${'7'.repeat(64)}`
    expect(await name(kind, ha, { image: { tag: 'other' }, api: { image: { digest } } })).toBe(before)
    expect(await name(kind, ha, { api: { replicas: 7 }, settings: { logLevel: 'debug' } })).toBe(before)
  })

  test('of the migrations has another where they, or its orders, change', async () => {
    const names = [
      await name('migrate', ha, {}),
      await name('migrate', ha, { migration: { run: 2 } }),
      await name('migrate', ha, { kafka: { topics: { partitions: 99 } } }),
      await name('migrate', ha, { database: { users: { reader: { name: 'other' } } } }),
    ]
    expect(new Set(names).size).toBe(names.length)
  })

  test('of the migrations is no hook: pods wait for it, and Helm must not wait for them first', async () => {
    const manifests = await render('rates', { files: minimal })
    expect(only(manifests, 'Job').metadata.annotations).not.toHaveProperty(['helm.sh/hook'])
    for (const deployment of manifests.filter(({ kind }) => kind === 'Deployment')) {
      expect(containersOf(deployment)[0]).toMatchObject({ name: 'wait', command: ['node', 'db/dist/wait.js'] })
    }
  })

  test.each([
    [{ configMap: { name: 'dump' } }, '/dump/rates.sql'],
    [{ volumeClaim: { name: 'dump', path: 'a/b.sql' } }, '/dump/a/b.sql'],
    [{ s3: { bucket: 'dumps', key: 'b.sql' } }, 's3://dumps/b.sql'],
  ])('of an import reads %j', async (source, path) => {
    const manifests = await render('rates', { files: minimal, values: { import: { enabled: true, ...source } } })
    const job = manifests.find(({ kind, metadata }) => kind === 'Job' && metadata.name.startsWith('rates-import-'))!
    expect(podOf(job).containers[0].command).toEqual(['node', 'db/dist/import.js', path])
  })
})

describe('what is secret', () => {
  test('is in files, of Secrets that are somebody else’s, and in no variable', async () => {
    const manifests = await render('rates', { files: ha })
    expect(manifests.filter(({ kind }) => kind === 'Secret')).toEqual([])
    for (const workload of manifests.filter(({ kind }) => ['Deployment', 'Job'].includes(kind))) {
      const secrets = podOf(workload).volumes.find((volume: { name: string }) => volume.name === 'secrets')
      expect(secrets.projected.defaultMode).toBe(0o440)
      const sources = JSON.stringify(secrets.projected.sources)
      for (const name of ['rates-database', 'pg-ca', 'rates-kafka', 'kafka-ca']) expect(sources).toContain(name)
      // A file that is mounted by itself would not follow its Secret.
      for (const { volumeMounts } of containersOf(workload)) {
        expect(volumeMounts.filter(({ subPath }) => subPath !== undefined)).toEqual([])
      }
    }
    expect(only(manifests, 'ConfigMap', '-api')['data']).toMatchObject({
      DATABASE_URL: 'postgres://rates_api@pg.example:5432/rates',
      DATABASE_PASSWORD_FILE: '/run/secrets/rates/database-password',
      DATABASE_CA_FILE: '/run/secrets/rates/database-ca.crt',
      KAFKA_TLS: 'true',
      KAFKA_SASL_MECHANISM: 'scram-sha-512',
      KAFKA_PASSWORD_FILE: '/run/secrets/rates/kafka-password',
    })
  })

  test('is of the database for whoever connects to it: helm test does not', async () => {
    const check = async (files: string[]): Promise<Manifest> => only(await render('rates', { files }), 'Pod')
    expect(JSON.stringify(await check(ha))).toMatch(/rates-kafka.*kafka-ca/)
    expect(JSON.stringify(await check(ha))).not.toMatch(/rates-database|pg-ca/)
    expect(podOf(await check(minimal)).volumes.map(({ name }: { name: string }) => name)).toEqual(['tmp'])
  })

  test('is for each pod its own user’s password', async () => {
    const manifests = await render('rates', { files: minimal })
    const key = (manifest: Manifest): unknown => podOf(manifest).volumes[1].projected.sources[0].secret.items
    expect(key(only(manifests, 'Deployment', '-api'))).toEqual([{ key: 'api-password', path: 'database-password' }])
    expect(key(only(manifests, 'Deployment', '-ingest'))).toEqual([
      { key: 'ingest-password', path: 'database-password' },
    ])
    expect(key(only(manifests, 'Job'))).toEqual([{ key: 'migration-password', path: 'database-password' }])
  })

  test('makes a Secret only where it is given as a value', async () => {
    const users = Object.fromEntries(['migration', 'ingest', 'api'].map((user) => [user, { password: `of ${user}` }]))
    const manifests = await render('rates', { files: minimal, values: { database: { existingSecret: '', users } } })
    expect(only(manifests, 'Secret')['stringData']).toEqual({
      'migration-password': 'of migration',
      'ingest-password': 'of ingest',
      'api-password': 'of api',
    })
  })
})

describe('the network', () => {
  test('is closed but for what is needed', async () => {
    const manifests = await render('rates', { files: ha })
    const all = only(manifests, 'NetworkPolicy', 'rates')
    expect(all['spec']).toMatchObject({
      podSelector: { matchLabels: { 'app.kubernetes.io/instance': 'rates' } },
      policyTypes: ['Ingress', 'Egress'],
    })
    const ports = (all['spec'].egress as { ports: { port: number }[] }[]).map((rule) =>
      rule.ports.map(({ port }) => port),
    )
    expect(ports).toEqual([[53, 53], [5432], [9093]])
  })
})

describe('webhooks', () => {
  const webhook = { url: 'http://hooks.example/rates', secret: `whsec_${'A'.repeat(32)}` }

  test('are of the workers, who may reach where they go', async () => {
    const manifests = await render('rates', { files: ha })
    expect(only(manifests, 'ConfigMap', '-ingest')['data']).toMatchObject({
      WEBHOOK_URL: 'https://hooks.example:8443/rates?of=prod',
      WEBHOOK_SECRET_FILE: '/run/secrets/rates/webhook-secret',
      PUBLIC_URL: 'https://rates.example',
    })
    const sources = (name: string): string => JSON.stringify(podOf(only(manifests, 'Deployment', name)).volumes)
    expect(sources('-ingest')).toContain('{"name":"rates-webhook","items":[{"key":"secret","path":"webhook-secret"}]}')
    expect(sources('-api')).not.toContain('webhook')
    const { podSelector, egress } = only(manifests, 'NetworkPolicy', '-ingest')['spec']
    expect(podSelector.matchLabels).toMatchObject({ 'app.kubernetes.io/component': 'ingest' })
    expect(egress).toEqual([{ ports: [{ port: 8443, protocol: 'TCP' }], to: [{ ipBlock: { cidr: '10.40.0.7/32' } }] }])
  })

  test.each([
    ['http://hooks.example/rates', 80],
    ['https://hooks.example', 443],
    ['https://[fd00::1]:8443/', 8443],
    ['https://[fd00::1]/a:1', 443],
  ])('leave for %s by port %i', async (url, port) => {
    const manifests = await render('rates', { files: minimal, values: { webhook: { url } } })
    expect(only(manifests, 'NetworkPolicy', '-ingest')['spec'].egress).toEqual([{ ports: [{ port, protocol: 'TCP' }] }])
    expect(only(manifests, 'ConfigMap', '-ingest')['data']).not.toHaveProperty('WEBHOOK_SECRET_FILE')
  })

  test('leave no trace where there are none, and make a Secret only of a value', async () => {
    expect(await renderText('rates', { files: minimal })).not.toMatch(/webhook/i)
    const manifests = await render('rates', { files: minimal, values: { webhook } })
    expect(only(manifests, 'Secret')['stringData']).toEqual({ 'webhook-secret': webhook.secret })
    expect(only(manifests, 'Secret').metadata.name).toBe('rates-webhook')
  })

  test.each([
    [{ url: 'https://user:hush@hooks.example/' }, /webhook[./]url/],
    [{ url: 'hooks.example' }, /webhook[./]url/],
    [{ secret: 'hush', url: webhook.url }, /webhook[./]secret/],
    [{ existingSecret: 'a' }, /webhook.url: it is missing/],
  ])('%j is refused', async (values, why) => {
    await expect(renderText('rates', { files: minimal, values: { webhook: values } })).rejects.toThrow(why)
  })
})

describe('monitoring', () => {
  test('gives Prometheus the jobs that dashboards ask for', async () => {
    for (const scrape of ['podMonitor', 'serviceMonitor']) {
      const manifests = await render('rates', { files: minimal, values: { monitoring: { scrape } } })
      const kind = scrape === 'podMonitor' ? 'PodMonitor' : 'ServiceMonitor'
      const jobs = manifests
        .filter((each) => each.kind === kind)
        .map(({ spec }) => (spec.podMetricsEndpoints ?? spec.endpoints)[0].relabelings)
      expect(jobs).toEqual([
        [{ targetLabel: 'job', replacement: 'rates-api' }],
        [{ targetLabel: 'job', replacement: 'ingest' }],
      ])
    }
  })

  test('leaves out the alerts that are excluded, and no others', async () => {
    const alerts = async (exclude: string[]): Promise<string[]> => {
      const values = { monitoring: { rules: { enabled: true, exclude, alertLabels: { team: 'freight' } } } }
      const { groups } = only(await render('rates', { files: minimal, values }), 'PrometheusRule')['spec'] as {
        groups: { rules: { alert?: string; labels?: object }[] }[]
      }
      const rules = groups.flatMap((group) => group.rules)
      for (const { alert, labels } of rules) if (alert) expect(labels).toMatchObject({ team: 'freight' })
      return rules.flatMap(({ alert }) => (alert ? [alert] : []))
    }
    const all = await alerts([])
    expect(all.length).toBeGreaterThan(1)
    expect(await alerts([all[0]!])).toEqual(all.slice(1))
  })
})

test('an image is by its digest where there is one', async () => {
  const manifests = await render('rates', { files: ha })
  expect(containersOf(only(manifests, 'Deployment', '-api')).map(({ image }) => image)).toEqual(
    Array(2).fill(
      'registry.example/freight/rates/rates-api@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',
    ),
  )
})

test('names follow the release', async () => {
  const names = async (release: string): Promise<string> =>
    only(await render('rates', { files: minimal, release }), 'Deployment', '-api').metadata.name
  expect(await names('rates')).toBe('rates-api')
  expect(await names('green')).toBe('green-rates-api')
  expect(await names('rates-of-a-very-long-name-that-goes-on-and-on')).toMatch(/^.{1,40}-api$/)
})

test('labels that pods are selected by do not change with versions', async () => {
  const text = await renderText('rates', { files: minimal })
  const templates = text.split('\n').filter((line) => /^ {8}(helm\.sh\/chart|app\.kubernetes\.io\/version)/.test(line))
  expect(templates).toEqual([])
})

test('the notes grade what was installed, and say what to change', async () => {
  expect(await notes('rates', file('rates ha'))).not.toMatch(/^ {2}- /m)
  const tiny = await notes('rates', file('rates tiny'))
  expect(tiny).toContain('- api          1: while it is away, nobody can read; set api.replicas=2')
  expect(tiny).toContain('- servers      PostgreSQL or Kafka is of rates-dev')
  expect(tiny).toContain('helm test rates -n freight --logs')
})
