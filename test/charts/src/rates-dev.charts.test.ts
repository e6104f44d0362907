import { beforeAll, expect, test } from '@jest/globals'
import { program } from './programs.ts'
import { only, render, Refused, type Manifest } from './render.ts'
import { valueSets } from './value-sets.ts'

const file = (name: string): string => valueSets.find((set) => set.name === name)!.file

beforeAll(async () => void (await program('helm4')), 600_000)

const env = (manifest: Manifest): Record<string, string | undefined> =>
  Object.fromEntries(
    (manifest['spec'].template.spec.containers[0].env as { name: string; value?: string }[]).map(({ name, value }) => [
      name,
      value,
    ]),
  )

test('without a cluster to look at, no password is made up', async () => {
  const outcome = await render('rates-dev').catch((error: unknown) => error)
  expect(outcome).toBeInstanceOf(Refused)
  expect((outcome as Refused).message).toContain('set postgres.password, or name a Secret in postgres.existingSecret')
})

test('a Secret that exists is used, and none is made', async () => {
  const manifests = await render('rates-dev', { values: { postgres: { existingSecret: 'mine' } } })
  expect(manifests.filter(({ kind }) => kind === 'Secret')).toEqual([])
  const { volumes } = only(manifests, 'StatefulSet', '-postgres')['spec'].template.spec
  expect(volumes[1].secret).toEqual({ secretName: 'mine', defaultMode: 0o440 })
})

test('the Secret has the keys that the chart rates asks for', async () => {
  const dev = await render('rates-dev', { files: [file('rates-dev one')] })
  const rates = await render('rates', { files: [file('rates dev')] })
  const secret = only(dev, 'Secret')
  const asked = ['-api', '-ingest'].map(
    (name) => only(rates, 'Deployment', name)['spec'].template.spec.volumes[1].projected.sources[0].secret,
  )
  for (const { name, items } of asked) {
    expect(name).toBe(secret.metadata.name)
    expect(Object.keys(secret['data'] as object)).toContain(items[0].key)
  }
})

test('three brokers keep three copies, two of which are written', async () => {
  const manifests = await render('rates-dev', { files: [file('rates-dev three')], namespace: 'dev' })
  const kafka = only(manifests, 'StatefulSet', '-kafka')
  expect(env(kafka)).toMatchObject({
    KAFKA_CONTROLLER_QUORUM_VOTERS: [0, 1, 2]
      .map((i) => `${i}@rates-dev-kafka-${i}.rates-dev-kafka-brokers.dev.svc.cluster.local:9093`)
      .join(),
    KAFKA_DEFAULT_REPLICATION_FACTOR: '3',
    KAFKA_MIN_INSYNC_REPLICAS: '2',
    KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: '3',
    KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: '2',
    KAFKA_LOG_RETENTION_HOURS: '24',
  })
  expect(only(manifests, 'PodDisruptionBudget')['spec'].maxUnavailable).toBe(1)
  const ports = manifests
    .filter(({ kind, metadata }) => kind === 'Service' && metadata.name.includes('-external-'))
    .map(({ spec }) => spec.ports[0].nodePort as number)
  expect(ports).toEqual([30092, 30093, 30094])
})

test('one broker keeps one copy', async () => {
  const manifests = await render('rates-dev', { files: [file('rates-dev one')] })
  expect(env(only(manifests, 'StatefulSet', '-kafka'))).toMatchObject({
    KAFKA_DEFAULT_REPLICATION_FACTOR: '1',
    KAFKA_MIN_INSYNC_REPLICAS: '1',
  })
  expect(manifests.filter(({ kind }) => kind === 'PodDisruptionBudget')).toEqual([])
})

test('volumes and passwords stay or go together', async () => {
  for (const keep of [true, false]) {
    const manifests = await render('rates-dev', { values: { postgres: { password: 'a', persistence: { keep } } } })
    const policy = only(manifests, 'StatefulSet', '-postgres')['spec'].persistentVolumeClaimRetentionPolicy
    expect(policy.whenDeleted).toBe(keep ? 'Retain' : 'Delete')
    expect(only(manifests, 'Secret').metadata.annotations?.['helm.sh/resource-policy']).toBe(keep ? 'keep' : undefined)
  }
})
