import { type V1Pod } from '@kubernetes/client-node'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { eventually } from '@rates/testing/eventually'
import { demoDump } from './demo-dump.ts'
import {
  BUCKET,
  type ExternalServices,
  KAFKA_USER,
  newKafkaPassword,
  newPassword,
  PREFIX,
  roleOf,
  startExternalServices,
} from './external-services.ts'
import { chartOf, RELEASE } from './installation.ts'
import { connectKube, deleteNamespace, freshNamespace, hostAddress, nodeAddress, podsOf } from './kube.ts'
import { helm, kubectl } from './programs.ts'
import { steadyReads } from './steady-reads.ts'
import { clusterSettings } from './settings.ts'

// The chart as in production: PostgreSQL and Kafka that somebody else administers, with verified TLS, a role for each
// part, a user of Kafka that may do no more than docs/kubernetes.md says; passwords in Secrets that exist, which change.

const NAMESPACE = 'rates-e2e-secure'
const QUERY = 'date_from=2026-07-01&date_to=2026-07-31&orig_code=CNTAO&dest_code=DEHAM'
/** The kubelet looks at Secrets once a minute or so. */
const KUBELET_MS = 150_000

const settings = clusterSettings()
const kube = connectKube()
const host = await hostAddress(kube, settings.host)
if (host === undefined) {
  process.stderr.write('external services are not tested: --host has to tell where pods reach this machine\n')
}
const described = host === undefined ? describe.skip : describe

let services: ExternalServices
let url: string

described('services of somebody else, with TLS, roles and passwords in Secrets', () => {
  beforeAll(async () => {
    services = await startExternalServices(host!)
    url = `http://${await nodeAddress(kube, settings.node)}:${settings.ports.api}`
    await services.store.put('rates.sql', await demoDump(5_000))
    await freshNamespace(NAMESPACE)
    const { passwords, store, ca } = services
    await makeSecret('rates-database', {
      'migration-password': passwords.migration,
      'ingest-password': passwords.ingest,
      'api-password': passwords.api,
    })
    await makeSecret('rates-kafka', { password: passwords.kafka })
    for (const name of ['postgres-ca', 'kafka-ca']) await makeSecret(name, { 'ca.crt': ca })
    const { accessKeyId, secretAccessKey } = store.credentials
    await makeSecret('rates-s3', { 'access-key-id': accessKeyId, 'secret-access-key': secretAccessKey })
    await apply('install')
  }, 600_000)
  afterAll(async () => {
    if (!settings.keep) await deleteNamespace(NAMESPACE)
    await services?.stop()
  }, 300_000)

  it('answers, with the prices of a dump in an object store', async () => {
    const prices = async (): Promise<boolean> => {
      const response = await fetch(`${url}/rates?${QUERY}`).catch(() => undefined)
      if (response?.status !== 200) return false
      const { rates } = (await response.json()) as { rates: { price: number | null }[] }
      return rates.some(({ price }) => price !== null)
    }
    await eventually(prices, { within: 300_000, every: 500, what: 'the prices of the dump' })
    await rolledOut()
    expect((await running()).map(restarts)).toEqual([0, 0, 0, 0])
    const { batches } = (await (await fetch(`${url}/batches`)).json()) as { batches: { state: string }[] }
    expect(batches.map(({ state }) => state)).toEqual(['succeeded'])
    expect(await services.askAsReader('select count(*)::int as n from prices')).toEqual([{ n: 5_000 }])
  }, 400_000)

  it('connects each part as its own role, by TLS', async () => {
    expect(await connected()).toEqual([roleOf.api, roleOf.ingest].map((role) => ({ role, ssl: true })))
  })

  it('passes helm test', () => check(), 300_000)

  it('takes new passwords of PostgreSQL without a restart', async () => {
    await unchanged(async () => {
      const reads = steadyReads(`${url}/rates?${QUERY}`)
      for (const part of ['ingest', 'api'] as const) {
        await services.changeRole(part, newPassword())
        await changeSecret('rates-database', { [`${part}-password`]: services.passwords[part] })
      }
      await mounted('ingest', 'database-password', services.passwords.ingest)
      await mounted('api', 'database-password', services.passwords.api)
      process.stderr.write(`\nreads while passwords of PostgreSQL changed: ${reads.told()}\n`)
      const ended = await services.ask(
        `select count(pg_terminate_backend(pid))::int as n from pg_stat_activity where usename = any($1)`,
        [[roleOf.api, roleOf.ingest]],
      )
      expect(ended[0]!['n']).toBeGreaterThan(2)
      await check()
      process.stderr.write(`and while all connections were ended and made again: ${await reads.stop()}\n`)
    })
  }, 600_000)

  it('takes a new password of Kafka without a restart', async () => {
    await unchanged(async () => {
      const password = newKafkaPassword()
      await services.kafka.setPassword(KAFKA_USER, password)
      await changeSecret('rates-kafka', { password })
      for (const component of ['ingest', 'api']) await mounted(component, 'kafka-password', password)
      await services.kafka.restart()
      await check()
    })
  }, 600_000)

  it('moves a part to another role with another password', async () => {
    const [name, key, password] = ['rates_ingest_b', 'ingest-password-b', newPassword()]
    await services.addRole(name, password)
    await changeSecret('rates-database', { [key]: password })
    await apply('upgrade', { name, key })
    await rolledOut()
    const moved = async (): Promise<boolean> => (await connected()).every(({ role }) => role !== roleOf.ingest)
    await eventually(moved, { within: 60_000, every: 500, what: 'the end of the old role’s connections' })
    expect(await connected()).toEqual([roleOf.api, name].map((role) => ({ role, ssl: true })))
    await check()
  }, 600_000)
})

async function apply(how: 'install' | 'upgrade', ingestUser: object = {}): Promise<void> {
  const args = [how, RELEASE, chartOf('rates'), '-n', NAMESPACE, '-f', '-']
  await helm(args, { input: JSON.stringify(values(ingestUser)) })
}

async function rolledOut(): Promise<void> {
  for (const name of ['api', 'ingest']) {
    await kubectl(['rollout', 'status', `deployment/${RELEASE}-${name}`, '--timeout=300s', '-n', NAMESPACE])
  }
}

/** The platform's roles that are connected. */
const connected = (): Promise<{ role?: string }[]> =>
  services.ask(
    `select distinct usename as role, ssl from pg_stat_activity natural join pg_stat_ssl
      where usename like 'rates\\_%' order by 1`,
  )

function values(ingestUser: object): object {
  const { host, postgresPort, kafka, store } = services
  const image = (name: string): object => ({ repository: `${settings.repository}/${name}` })
  const resources = { requests: { cpu: '50m' } }
  return {
    image: { tag: settings.tag },
    api: {
      image: image('rates-api'),
      resources,
      service: { type: 'NodePort', nodePort: settings.ports.api },
    },
    ingest: { image: image('ingest'), resources },
    migration: { resources },
    test: { image: image('tools') },
    database: {
      host,
      port: postgresPort,
      ca: { secret: 'postgres-ca' },
      existingSecret: 'rates-database',
      users: { ingest: ingestUser, reader: { name: roleOf.reader } },
    },
    kafka: {
      brokers: [kafka.secure],
      prefix: PREFIX,
      ca: { secret: 'kafka-ca' },
      sasl: { mechanism: 'scram-sha-512', username: KAFKA_USER, existingSecret: 'rates-kafka' },
    },
    s3: { endpoint: store.endpoint, region: store.region, existingSecret: 'rates-s3' },
    import: { enabled: true, s3: { bucket: BUCKET, key: 'rates.sql' } },
  }
}

async function makeSecret(name: string, stringData: Record<string, string>): Promise<void> {
  const manifest = { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData }
  await kubectl(['create', '-n', NAMESPACE, '-f', '-'], { input: JSON.stringify(manifest) })
}

async function changeSecret(name: string, stringData: Record<string, string>): Promise<void> {
  await kubectl(['patch', 'secret', name, '-n', NAMESPACE, '-p', JSON.stringify({ stringData })])
}

/** A batch by Kafka, its reply, its average by the API, its revert, from a pod of its own. */
async function check(): Promise<void> {
  expect(await helm(['test', RELEASE, '-n', NAMESPACE, '--timeout', '180s'])).toMatch(/Phase:\s+Succeeded/)
}

async function running(): Promise<V1Pod[]> {
  const pods = await podsOf(kube, NAMESPACE, { 'app.kubernetes.io/instance': RELEASE })
  return pods.filter(({ metadata }) => /^(api|ingest)$/.test(metadata!.labels!['app.kubernetes.io/component']!))
}

const restarts = ({ status }: V1Pod): number => status!.containerStatuses![0]!.restartCount

/** All pods are those of before, and none of their containers was started again. */
async function unchanged(work: () => Promise<void>): Promise<void> {
  const now = async (): Promise<string[]> =>
    (await running()).map((pod) => `${pod.metadata!.name} ${restarts(pod)}`).sort()
  const before = await now()
  expect(before).toHaveLength(4)
  await work()
  expect(await now()).toEqual(before)
}

/** Until the pods of a part have it in their file. */
async function mounted(component: string, file: string, content: string): Promise<void> {
  const since = Date.now()
  const pods = (await running()).filter(({ metadata }) => metadata!.name!.startsWith(`${RELEASE}-${component}-`))
  for (const { metadata } of pods) {
    const read = ['exec', metadata!.name!, '-n', NAMESPACE, '--', 'cat', `/run/secrets/rates/${file}`]
    await eventually(async () => (await kubectl(read)) === content, {
      ...{ within: KUBELET_MS, every: 2_000 },
      what: `the new ${file} in ${metadata!.name}`,
    })
  }
  process.stderr.write(
    `\nthe new ${file} was in the pods of ${component} after ${Math.round((Date.now() - since) / 1000)} s\n`,
  )
}
