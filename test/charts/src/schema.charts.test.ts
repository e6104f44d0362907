import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { program } from './programs.ts'
import { render, Refused } from './render.ts'
import { chartFolder, valueSets, type ChartName } from './value-sets.ts'

interface Schema {
  type?: string
  properties?: Record<string, Schema>
  additionalProperties?: unknown
  items?: Schema
  $defs?: Record<string, Schema>
}

const minimal = (chart: ChartName): string => valueSets.find((set) => set.chart === chart)!.file

async function refusal(chart: ChartName, values: object): Promise<string> {
  const outcome = await render(chart, { files: [minimal(chart)], values }).catch((error: unknown) => error)
  expect(outcome).toBeInstanceOf(Refused)
  return (outcome as Refused).message
}

beforeAll(async () => void (await program('helm4')), 600_000)

test.each<[string, object, string]>([
  ['a value that nobody knows', { replicas: 3 }, "additional properties 'replicas' not allowed"],
  ['one in a part', { api: { replica: 3 } }, "at '/api': additional properties 'replica' not allowed"],
  [
    'one of a user',
    { database: { users: { api: { pass: 'x' } } } },
    "at '/database/users/api': additional properties 'pass'",
  ],
  ['two owners of the replicas', { ingest: { autoscaling: { by: 'both' } } }, "must be one of 'none', 'hpa', 'keda'"],
  ['a broker without a port', { kafka: { brokers: ['kafka.example'] } }, "'kafka.example' does not match pattern"],
  [
    'an Ingress without a host',
    { api: { ingress: { enabled: true } } },
    "at '/api/ingress/hosts': minItems: got 0, want 1",
  ],
  [
    'a tag as a digest',
    { api: { image: { digest: 'v1' } } },
    "at '/api/image/digest': 'v1' does not match pattern '^(sha256:",
  ],
  ['text as a number', { api: { replicas: 'two' } }, "at '/api/replicas': got string, want integer"],
  ['a ledger that forgets too early', { ingest: { settings: { ledgerRetentionDays: 3 } } }, 'ledgerRetentionDays'],
])('rates refuses %s', async (_, values, said) => {
  expect(await refusal('rates', values)).toContain(said)
})

test.each<[string, object, string]>([
  ['two brokers', { kafka: { brokers: 2 } }, "at '/kafka/brokers': value must be one of 1, 3"],
  [
    'a value that nobody knows',
    { postgres: { size: '1Gi' } },
    "at '/postgres': additional properties 'size' not allowed",
  ],
])('rates-dev refuses %s', async (_, values, said) => {
  expect(await refusal('rates-dev', values)).toContain(said)
})

test('what is missing is told all at once', async () => {
  const outcome = await render('rates', { values: { kafka: { sasl: { mechanism: 'plain' } } } }).catch(String)
  for (const missing of [
    'database.host: the host of PostgreSQL is missing',
    'database.users.migration.password: give it, or name a Secret',
    'database.users.ingest.password: give it, or name a Secret',
    'database.users.api.password: give it, or name a Secret',
    'kafka.brokers: no broker is named',
    'kafka.sasl.username: it is missing',
    'kafka.sasl.password: give it, or name a Secret',
  ]) {
    expect(outcome).toContain(missing)
  }
})

test.each<[string, object, string]>([
  [
    'two sources of an import',
    { import: { enabled: true, configMap: { name: 'a' }, s3: { bucket: 'b' } } },
    'import: name one source',
  ],
  ['an import of nothing', { import: { enabled: true } }, 'import: name one source'],
  [
    'a CA twice',
    { kafka: { ca: { secret: 'a', configMap: 'b' } } },
    'kafka.ca: name a Secret or a ConfigMap, not both',
  ],
  ['half of an S3 key', { s3: { accessKeyId: 'a' } }, 's3.secretAccessKey: it is missing'],
  [
    'more at least than at most',
    { api: { autoscaling: { minReplicas: 9 } } },
    'api.autoscaling: minReplicas is more than maxReplicas',
  ],
])('rates refuses %s', async (_, values, said) => {
  expect(await refusal('rates', values)).toContain(said)
})

describe.each(['rates', 'rates-dev'] as const)('the schema of %s', (chart) => {
  const schema = JSON.parse(readFileSync(`${chartFolder(chart)}/values.schema.json`, 'utf8')) as Schema

  test('says of every map with known keys that there are no others', () => {
    expect(open(schema, '')).toEqual([])
  })
})

function open(schema: Schema, path: string): string[] {
  const here = schema.properties !== undefined && schema.additionalProperties !== false ? [path || '/'] : []
  const below = Object.entries({ ...schema.properties, ...schema.$defs }).flatMap(([key, each]) =>
    open(each, `${path}/${key}`),
  )
  return [...here, ...below, ...(schema.items ? open(schema.items, `${path}[]`) : [])]
}
