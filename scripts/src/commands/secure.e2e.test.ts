import { execFile } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { csv, importTestPorts, testBatch } from '@rates/testing/batches'
import { certify, makeCa } from '@rates/testing/certificates'
import { runRates } from '@rates/testing/program'
import { startSecureKafka, startSecurePostgres } from '@rates/testing/secure-servers'
import { temporaryFolder } from '@rates/testing/temporary-folder'
import { startApiProcess, startWorkerProcess } from '@rates/testing/workers'

const run = promisify(execFile)
const migrationJob = fileURLToPath(new URL('../../../db/src/main.ts', import.meta.url))

let folder: string
/** Of services, Job and commands alike; no password is in it. */
let env: Record<string, string>
let url: string
const releases: (() => Promise<void>)[] = []

beforeAll(async () => {
  folder = await temporaryFolder()
  releases.push(() => rm(folder, { recursive: true }))
  const ca = await makeCa(folder, 'ca')
  const server = await certify(folder, ca, 'server', 'DNS:localhost')
  const [postgres, kafka] = await Promise.all([
    startSecurePostgres(folder, server),
    startSecureKafka(folder, server, { host: 'localhost' }),
  ])
  releases.push(postgres.stop, kafka.stop)
  await kafka.setPassword('keeper', 'hush')
  // No more than docs/kubernetes.md asks for.
  await kafka.allow('keeper', ['Read', 'Write', 'Describe', 'DescribeConfigs', 'Create'], 'topic', 'secure.rates')
  await kafka.allow('keeper', ['Read', 'Describe', 'Delete'], 'group', 'secure.rates')
  const [databasePassword, kafkaPassword] = [join(folder, 'database-password'), join(folder, 'kafka-password')]
  await Promise.all([writeFile(databasePassword, 'rates\n'), writeFile(kafkaPassword, 'hush\n')])
  const place = { databaseUrl: postgres.url.replace(':rates@', '@'), brokers: [kafka.secure], prefix: 'secure.' }
  env = {
    DATABASE_URL: place.databaseUrl,
    DATABASE_PASSWORD_FILE: databasePassword,
    DATABASE_CA_FILE: ca.certificate,
    KAFKA_BROKERS: kafka.secure,
    KAFKA_PREFIX: place.prefix,
    KAFKA_CA_FILE: ca.certificate,
    KAFKA_SASL_MECHANISM: 'scram-sha-512',
    KAFKA_USERNAME: 'keeper',
    KAFKA_PASSWORD_FILE: kafkaPassword,
  }
  await run(process.execPath, ['--conditions=source', migrationJob], { env: { ...env, TOPIC_PARTITIONS: '2' } })
  await importTestPorts(postgres.url)
  const line = { ...place, defer: (release: () => Promise<void>) => void releases.push(release) }
  await startWorkerProcess(line, env)
  const api = await startApiProcess(line, env)
  await api.said('started')
  url = api.url
}, 180_000)
afterAll(async () => {
  for (const release of releases.reverse()) await release()
})

describe('a platform behind TLS and logins', () => {
  it('takes a batch of rates produce, and one over HTTP', async () => {
    const batch = testBatch(500)
    const file = join(folder, 'batch.csv')
    await writeFile(file, csv(batch.lines))
    const produced = await runRates({ ...env, RATES_URL: url }, 'produce', file, '--batch-id', batch.id)
    expect(produced).toMatchObject({ code: 0 })
    const headers = { 'content-type': 'text/csv' }
    const uploaded = await fetch(`${url}/batches`, { method: 'POST', headers, body: String(csv(testBatch(50).lines)) })
    expect(uploaded.status).toBe(202)
  })

  it.each([
    [['status']],
    [['topics']],
    [['dead-letters', 'list']],
    [['verify', '--all']],
    [['rewind', '--to', '2020-01-01T00:00:00Z', '--dry-run']],
  ])('is reached by rates %j', async (args) => {
    const ran = await runRates({ ...env, RATES_URL: url }, ...args)
    expect({ args, ...ran }).toMatchObject({ args, code: 0 })
    expect(ran.out + ran.err).not.toContain('hush')
  })

  it('is examined by rates doctor, which shows no password', async () => {
    const { out } = await runRates({ ...env, RATES_URL: url }, 'doctor', '--json')
    const findings = JSON.parse(out) as { findings: { area: string; check: string; level: string }[] }
    const faults = findings.findings.filter(
      ({ level, area }) => level === 'fault' && /settings|PostgreSQL|Kafka/.test(area),
    )
    expect(faults.map(({ check }) => check)).toEqual(['fsync']) // which a test does without
    expect(out).not.toContain('hush')
  })

  it('says what is wrong with the settings of a login', async () => {
    const ran = await runRates({ ...env, KAFKA_USERNAME: '' }, 'topics')
    expect(ran).toMatchObject({ code: 2, err: expect.stringContaining('KAFKA_USERNAME is not set') })
  })
})
