import { beforeAll, describe, expect, test } from '@jest/globals'
import { program } from './programs.ts'
import { notes, only, render, renderText, type Manifest } from './render.ts'
import { valueSets } from './value-sets.ts'

const file = (name: string): string => valueSets.find((set) => set.name === name)!.file
const minimal = [file('rates minimal')]
const ha = [file('rates ha')]

type Component = 'api' | 'ingest' | 'import' | 'migrate'

/** The pods' part of the manifests, by component. */
const podsOf = (manifests: readonly Manifest[]): Map<Component, Manifest['spec']> =>
  new Map(
    manifests
      .filter(({ kind }) => ['Deployment', 'Job'].includes(kind))
      .map((each) => [
        each.metadata.labels['app.kubernetes.io/component'] as Component,
        each['spec'].template.spec as Manifest['spec'],
      ]),
  )

/** Which of them have a source in their volumes of secrets. */
const whoMounts = (manifests: readonly Manifest[], source: string): Component[] =>
  [...podsOf(manifests)].flatMap(([component, { volumes }]) =>
    JSON.stringify(volumes).includes(`"name":"${source}"`) ? [component] : [],
  )

/** What its container finds in its environment. A Job has all of it in its pod. */
function settings(manifests: readonly Manifest[], component: Component): Record<string, string> {
  if (component !== 'import')
    return only(manifests, 'ConfigMap', `rates-${component}`)['data'] as Record<string, string>
  const { containers } = podsOf(manifests).get(component)! as {
    containers: { env: { name: string; value: string }[] }[]
  }
  return Object.fromEntries(containers[0]!.env.map(({ name, value }) => [name, value]))
}

const storePolicies = (manifests: readonly Manifest[]): Manifest[] =>
  manifests.filter(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name.endsWith('-s3'))

const USES: Readonly<Record<Exclude<Component, 'migrate'>, object>> = {
  api: { claims: { bucket: 'claims' } },
  ingest: { objects: { buckets: ['inbox'] } },
  import: { import: { enabled: true, s3: { bucket: 'dumps', key: 'a.sql' } } },
}
const KEYS = { existingSecret: 'store-keys', ca: { configMap: 'store-ca' }, endpoint: 'https://s3.example:9000' }

beforeAll(async () => void (await program('helm4')), 600_000)

describe('the object store', () => {
  test.each(['api', 'ingest', 'import'] as const)(
    'is of the pods that ask it, and of no others: %s',
    async (component) => {
      const manifests = await render('rates', { files: minimal, values: { ...USES[component], s3: KEYS } })
      expect(whoMounts(manifests, 'store-keys')).toEqual([component])
      expect(whoMounts(manifests, 'store-ca')).toEqual([component])
      const policies = storePolicies(manifests)
      expect(policies.map(({ metadata }) => metadata.name)).toEqual([`rates-${component}-s3`])
      expect(policies[0]!['spec']).toMatchObject({
        podSelector: { matchLabels: { 'app.kubernetes.io/component': component } },
        policyTypes: ['Egress'],
        egress: [{ ports: [{ port: 9000, protocol: 'TCP' }] }],
      })
      for (const other of (['api', 'ingest'] as const).filter((each) => each !== component)) {
        expect(Object.keys(settings(manifests, other)).filter((name) => name.startsWith('S3_'))).toEqual([])
      }
      expect(settings(manifests, component)).toMatchObject({
        S3_ENDPOINT: 'https://s3.example:9000',
        S3_REGION: 'us-east-1',
        S3_ACCESS_KEY_ID_FILE: '/run/secrets/rates/s3-access-key-id',
        S3_SECRET_ACCESS_KEY_FILE: '/run/secrets/rates/s3-secret-access-key',
        S3_CA_FILE: '/run/secrets/rates/s3-ca.crt',
      })
    },
  )

  test('leaves no trace where nobody asks it, whatever its keys are', async () => {
    const manifests = await render('rates', { files: minimal, values: { s3: KEYS } })
    expect(whoMounts(manifests, 'store-keys')).toEqual([])
    expect(storePolicies(manifests)).toEqual([])
    expect(JSON.stringify(manifests)).not.toMatch(/S3_/)
  })

  test('is reached by each of its own peers', async () => {
    const manifests = await render('rates', { files: ha })
    const policies = storePolicies(manifests)
    expect(policies.map(({ metadata }) => metadata.name)).toEqual([
      'rates-api-s3',
      'rates-ingest-s3',
      'rates-import-s3',
    ])
    for (const policy of policies) expect(policy['spec'].egress).toHaveLength(1)
  })

  test('by the pods’ account needs no keys, and the way to whoever gives them', async () => {
    const tokens = [{ ipBlock: { cidr: '10.9.0.0/16' } }]
    const values = {
      ...USES.ingest,
      s3: { workloadIdentity: true },
      serviceAccount: { annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::1:role/rates' } },
      networkPolicy: { tokens },
    }
    const manifests = await render('rates', { files: minimal, values })
    expect(settings(manifests, 'ingest')).not.toHaveProperty('S3_ACCESS_KEY_ID_FILE')
    expect(only(manifests, 'ServiceAccount').metadata.annotations).toEqual(values.serviceAccount.annotations)
    expect(storePolicies(manifests)[0]!['spec'].egress).toEqual([
      { ports: [{ port: 443, protocol: 'TCP' }] },
      { ports: [{ port: 443, protocol: 'TCP' }], to: tokens },
      { ports: [{ port: 80, protocol: 'TCP' }], to: [{ ipBlock: { cidr: '169.254.0.0/16' } }] },
    ])
    const withKeys = await render('rates', { files: minimal, values: { ...USES.ingest, s3: KEYS } })
    expect(JSON.stringify(storePolicies(withKeys))).not.toContain('169.254')
  })

  test('makes a Secret of keys that are given as values, where somebody asks it', async () => {
    const s3 = { accessKeyId: 'id', secretAccessKey: 'hush' }
    const manifests = await render('rates', { files: minimal, values: { ...USES.api, s3 } })
    expect(only(manifests, 'Secret')['stringData']).toEqual({ 'access-key-id': 'id', 'secret-access-key': 'hush' })
    expect(whoMounts(manifests, 'rates-s3')).toEqual(['api'])
    const unused = await render('rates', { files: minimal, values: { s3 } })
    expect(unused.filter(({ kind }) => kind === 'Secret')).toEqual([])
  })

  test.each([
    [{ s3: { workloadIdentity: true, existingSecret: 'a' } }, /s3: keys come by the pods' account .* not both/],
    [{ s3: { ca: { secret: 'a', configMap: 'b' } } }, /s3.ca: name a Secret or a ConfigMap, not both/],
    [{ s3: { accessKeyId: 'a' } }, /s3.secretAccessKey: it is missing/],
    [{ claims: { bucket: 'No_Bucket' } }, /claims[./]bucket/],
    [{ objects: { buckets: ['a/b'] } }, /objects[./]buckets/],
    [
      { claims: { bucket: 'one' }, objects: { buckets: ['two', 'one'] } },
      /claims.bucket: it is in objects.buckets, too/,
    ],
    [{ queries: { answerMaxBytes: 1_000_000 } }, /queries[./]answerMaxBytes/],
  ])('%j is refused', async (values, why) => {
    await expect(renderText('rates', { files: minimal, values })).rejects.toThrow(why)
  })
})

describe('queries and claims', () => {
  test('are settings of the API alone, numbers as they are written', async () => {
    const manifests = await render('rates', { files: minimal })
    expect(settings(manifests, 'api')).toMatchObject({
      QUERIES: 'true',
      QUERIES_AT_ONCE: '4',
      ANSWER_MAX_BYTES: '65536',
      CLAIM_HOURS: '24',
      CLAIM_MAX_BYTES: '1073741824',
    })
    expect(Object.keys(settings(manifests, 'ingest')).filter((name) => /QUER|CLAIM|ANSWER|OBJECT/.test(name))).toEqual(
      [],
    )
  })

  test('are off where they are not wanted', async () => {
    const manifests = await render('rates', { files: minimal, values: { queries: { enabled: false } } })
    expect(settings(manifests, 'api')['QUERIES']).toBe('false')
    const check = (of: readonly Manifest[]): string[] => only(of, 'Pod')['spec'].containers[0].args as string[]
    expect(check(manifests)).toContain('--no-queries')
    expect(check(await render('rates', { files: minimal }))).not.toContain('--no-queries')
  })
})

test('buckets are the workers’ list', async () => {
  const values = { objects: { buckets: ['a-inbox', 'b.inbox'], loadsAtOnce: 3, refusedSeconds: 300 } }
  const manifests = await render('rates', { files: minimal, values })
  expect(settings(manifests, 'ingest')).toMatchObject({
    OBJECT_BUCKETS: 'a-inbox,b.inbox',
    OBJECT_LOADS_AT_ONCE: '3',
    OBJECT_REFUSED_SECONDS: '300',
  })
  expect(settings(manifests, 'api')).not.toHaveProperty('OBJECT_BUCKETS')
})

test('the notes tell of them, and of a store that is talked to in the clear', async () => {
  const told = await notes('rates', file('rates ha'))
  expect(told).toContain(
    'queries      on prod.rates.queries; answers above 65536 bytes are kept for 48 h in s3://rates-claims',
  )
  expect(told).toContain('files        of s3://acme-inbox, s3://other-inbox, told of on prod.rates.objects')
  expect(told).toContain('+              to the object store, verified')
  const minimalNotes = await notes('rates', file('rates minimal'))
  expect(minimalNotes).toContain('for 24 h in PostgreSQL')
  expect(minimalNotes).not.toMatch(/files {8}|object store/)
})
