import { beforeAll, expect, test } from '@jest/globals'
import { program } from './programs.ts'
import { documentedValues } from './documented-values.ts'
import { renderText, type RenderOptions } from './render.ts'
import { valueSets, type ChartName } from './value-sets.ts'

const file = (name: string): string => valueSets.find((set) => set.name === name)!.file
const minimal = [file('rates minimal')]
const everything = [file('rates ha')]
const given = { password: 'given' }

/** A value shows only where what it belongs to is switched on. */
const BASES: Record<ChartName, readonly RenderOptions[]> = {
  rates: [
    { files: everything },
    {
      files: minimal,
      values: {
        database: {
          existingSecret: '',
          ca: { configMap: 'a' },
          users: { migration: given, ingest: given, api: given },
        },
        kafka: { sasl: { mechanism: 'plain', username: 'a', password: 'b' }, ca: { secret: 'b' } },
        api: { service: { type: 'NodePort' }, httpRoute: { enabled: true, parentRefs: [{ name: 'a' }] } },
        ingest: { autoscaling: { by: 'hpa' } },
        import: { enabled: true, volumeClaim: { name: 'a' } },
        monitoring: { scrape: 'serviceMonitor' },
        serviceAccount: { annotations: { a: 'b' } },
        webhook: { url: 'https://a.example', secret: `whsec_${'A'.repeat(32)}` },
      },
    },
    {
      files: minimal,
      values: { import: { enabled: true, configMap: { name: 'a' } } },
    },
    {
      files: minimal,
      values: { import: { enabled: true, s3: { bucket: 'a' } }, s3: { accessKeyId: 'a', secretAccessKey: 'b' } },
    },
    {
      files: minimal,
      values: { objects: { buckets: ['inbox'] }, s3: { workloadIdentity: true, ca: { configMap: 'a' } } },
    },
    { files: minimal },
  ],
  'rates-dev': [
    { files: [file('rates-dev three')] },
    { files: [file('rates-dev one')], values: { monitoring: { enabled: true, grafana: { enabled: false } } } },
    {
      files: [file('rates-dev three')],
      values: { kafka: { persistence: { keep: false } }, postgres: { persistence: { keep: false } } },
    },
  ],
}

/** Other values than the default, where those made below would be refused. */
const SAMPLES: Record<string, unknown> = {
  'image.pullPolicy': 'Always',
  'settings.logLevel': 'debug',
  'kafka.brokers': ['other.example:9999'],
  'kafka.sasl.mechanism': 'scram-sha-256',
  'kafka.topics.replication': 2,
  's3.endpoint': 'http://other.example:1234',
  'claims.bucket': 'other-bucket',
  'objects.buckets': ['other'],
  'api.service.type': 'LoadBalancer',
  'api.settings.publicUrl': 'https://other.example',
  'api.service.nodePort': 31234,
  'api.ingress.path': '/other',
  'api.httpRoute.parentRefs': [{ name: 'other' }],
  'ingest.autoscaling.by': 'none',
  'ingest.settings.ledgerRetentionDays': 99,
  'migration.ttlSeconds': 77,
  'monitoring.scrape': 'none',
  'monitoring.interval': '77s',
  'monitoring.rules.exclude': ['RatesApiErrorBudgetBurn'],
  'test.timeout': '77s',
  'podSecurity.runAsUser': null,
  'webhook.url': 'http://other.example/hook',
  'webhook.secret': `whsec_${'B'.repeat(32)}`,
  'networkPolicy.kafkaPorts': [7777],
  'image.pullSecrets': ['other'],
  'settings.replyTopics': ['other'],
  'api.ingress.hosts': ['other.example'],
  'api.httpRoute.hostnames': ['other.example'],
  'kafka.clusterId': 'AAAAAAAAAAAAAAAAAAAAAA',
  'kafka.external.nodePort': 31111,
  'monitoring.scrapeInterval': '77s',
  'monitoring.prometheus.retention': '7d',
  'monitoring.prometheus.nodePort': 31112,
  'monitoring.grafana.nodePort': 31113,
  'postgres.nodePort': 31114,
  'postgres.password': 'other',
  clusterDomain: 'other.example',
}
const DEV_SAMPLES: Record<string, unknown> = { 'kafka.brokers': 1 }

function other(path: string, value: unknown): unknown {
  if (path in SAMPLES) return SAMPLES[path]
  if (path.endsWith('digest')) return `sha256:${'7'.repeat(64)}`
  if (path.endsWith('.spread.zone') || path.endsWith('.spread.host')) return ''
  if (typeof value === 'number') return value + 7
  if (path.endsWith('size')) return '77Gi'
  if (typeof value === 'string') return 'other'
  if (path.endsWith('extraEnv')) return [{ name: 'OTHER', value: 'a' }]
  if (path.startsWith('networkPolicy.')) return [{ podSelector: {} }]
  if (path === 'extraManifests') return [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'other' } }]
  if (Array.isArray(value))
    return [{ name: 'other', secretName: 'other' }].map(({ name, ...rest }) => (path.endsWith('tls') ? rest : { name }))
  if (path.endsWith('resources')) return { requests: { cpu: '77m' } }
  return { other: 'a' }
}

const at = (path: string, value: unknown): object =>
  path.split('.').reduceRight<unknown>((below, key) => ({ [key]: below }), value) as object

type Tree = Record<string, unknown>

/** As Helm puts values together. */
function merged(below: unknown, above: unknown): unknown {
  const isMap = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isMap(below) || !isMap(above)) return above
  return Object.entries(above).reduce<Tree>((all, [key, value]) => ({ ...all, [key]: merged(all[key], value) }), below)
}

beforeAll(async () => void (await program('helm4')), 600_000)

test.each(['rates', 'rates-dev'] as const)(
  'every value of %s changes what is rendered',
  async (chart) => {
    const bases = await Promise.all(BASES[chart].map((base) => renderText(chart, base)))
    const idle: string[] = []
    const paths = [...documentedValues(chart)]
    const work = async (): Promise<void> => {
      for (let next = paths.pop(); next !== undefined; next = paths.pop()) {
        const { path, default: value } = next
        const sample = chart === 'rates-dev' && path in DEV_SAMPLES ? DEV_SAMPLES[path] : other(path, value)
        const samples = typeof value === 'boolean' ? [true, false] : [sample]
        const tries = BASES[chart].flatMap((base, i) => samples.map((each) => ({ base, before: bases[i], each })))
        let refused = ''
        let changed = false
        for (const { base, before, each } of tries) {
          const values = merged(base.values ?? {}, at(path, each)) as object
          const text = await renderText(chart, { ...base, values }).catch((error: Error) => {
            refused = `: ${error.message}`
            return before
          })
          changed = text !== before
          if (changed) break
        }
        if (!changed) idle.push(path + refused)
      }
    }
    await Promise.all([work(), work()])
    expect(idle).toEqual([])
  },
  300_000,
)
