import { randomBytes } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { certify, makeCa, type Certified } from '@rates/testing/certificates'
import { eventually } from '@rates/testing/eventually'
import {
  startSecureKafka,
  startSecurePostgres,
  type SecureKafka,
  type SecurePostgres,
} from '@rates/testing/secure-servers'
import { temporaryFolder } from '@rates/testing/temporary-folder'
import { type Pool } from 'pg'
import { pino } from 'pino'
import { z } from 'zod'
import { databaseSettings, kafkaSettings, loadConfig } from './config.ts'
import { connectProducer, type KafkaSettings } from './kafka.ts'
import { connectAdmin } from './kafka-admin.ts'
import { startConsumer } from './kafka-consumer.ts'
import { openReader } from './kafka-reader.ts'
import { kafkaSecurity } from './kafka-security.ts'
import { createPool } from './postgres.ts'

const lines: string[] = []
const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })

let folder: string
let ca: Certified
let server: Certified
let otherCa: Certified
const releases: (() => Promise<void>)[] = []
beforeAll(async () => {
  folder = await temporaryFolder()
  releases.push(() => rm(folder, { recursive: true }))
  ca = await makeCa(folder, 'ca')
  otherCa = await makeCa(folder, 'other-ca')
  server = await certify(folder, ca, 'server', 'DNS:localhost')
})
afterAll(async () => {
  for (const release of releases.reverse()) await release()
})

async function secret(text: string): Promise<string> {
  const file = join(folder, `secret-${randomBytes(4).toString('hex')}`)
  await writeFile(file, `${text}\n`)
  return file
}

describe('PostgreSQL with TLS and passwords in files', () => {
  let postgres: SecurePostgres
  let admin: Pool
  beforeAll(async () => {
    postgres = await startSecurePostgres(folder, server)
    releases.push(() => postgres.stop())
    admin = createPool(postgres.url, { name: 'admin', max: 1, log })
    releases.push(() => admin.end())
    await admin.query(`create role keeper login password 'first'`)
  })

  function pool(env: Record<string, string>, host = 'localhost'): Pool {
    const url = postgres.url.replace('rates:rates', 'keeper').replace('localhost', host)
    const settings = loadConfig(z.object(databaseSettings), { DATABASE_URL: url, ...env })
    return createPool(settings.DATABASE_URL, { name: 'test', max: 4, log })
  }

  const isEncrypted = async (connected: Pool): Promise<unknown> =>
    (await connected.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()')).rows

  it('is reached by the right CA, and the password is read again for each connection', async () => {
    const file = await secret('first')
    const reached = pool({ DATABASE_CA_FILE: ca.certificate, DATABASE_PASSWORD_FILE: file })
    try {
      expect(await isEncrypted(reached)).toEqual([{ ssl: true }])
      const held = await reached.connect() // connected before, and stays so
      await admin.query(`alter role keeper password 'second'`)
      await expect(reached.query('select 1')).rejects.toMatchObject({ code: '28P01' })
      await writeFile(file, 'second\n')
      expect(await isEncrypted(reached)).toEqual([{ ssl: true }])
      await rm(file) // between the old file and the new one
      const another = await Promise.all([reached.connect(), reached.connect()])
      for (const client of another) client.release()
      expect((await held.query('select 1 as n')).rows).toEqual([{ n: 1 }])
      held.release()
    } finally {
      await reached.end()
      await admin.query(`alter role keeper password 'first'`)
    }
  })

  it.each([
    ['another CA', 'localhost', () => otherCa, /certificate/],
    ['a name that the certificate does not have', '127.0.0.1', () => ca, /does not match certificate/],
  ])('refuses %s', async (_, host, authority, message) => {
    const refused = pool(
      { DATABASE_CA_FILE: authority().certificate, DATABASE_PASSWORD_FILE: await secret('first') },
      host,
    )
    try {
      await expect(refused.query('select 1')).rejects.toThrow(message)
    } finally {
      await refused.end()
    }
  })

  it('takes a new CA for new connections', async () => {
    const file = join(folder, 'trusted.crt')
    await writeFile(file, await readFile(otherCa.certificate))
    const settings = pool({ DATABASE_CA_FILE: file, DATABASE_PASSWORD_FILE: await secret('first') })
    try {
      await expect(settings.query('select 1')).rejects.toThrow(/certificate/)
      await writeFile(file, await readFile(ca.certificate))
      expect(await isEncrypted(settings)).toEqual([{ ssl: true }])
    } finally {
      await settings.end()
    }
  })
})

describe('Kafka with TLS and a login', () => {
  let kafka: SecureKafka
  beforeAll(async () => {
    kafka = await startSecureKafka(folder, server)
    releases.push(() => kafka.stop())
    await kafka.setPassword('keeper', 'first')
    await kafka.setPassword('keeper', 'first', '256')
  })

  function settings(env: Record<string, string>): KafkaSettings {
    const read = loadConfig(z.object(kafkaSettings), { KAFKA_BROKERS: kafka.secure, ...env })
    return { brokers: read.KAFKA_BROKERS, clientId: 'test', log, security: kafkaSecurity(read) }
  }
  const scram = (file: string, bits = '512'): Record<string, string> => ({
    KAFKA_CA_FILE: ca.certificate,
    KAFKA_SASL_MECHANISM: `scram-sha-${bits}`,
    KAFKA_USERNAME: 'keeper',
    KAFKA_PASSWORD_FILE: file,
  })

  it('takes records and gives them, to group and reader', async () => {
    const secure = settings(scram(await secret('first')))
    const admin = await connectAdmin(secure)
    await admin.createTopic('secure', 1, 1, {})
    const producer = await connectProducer(secure)
    await producer.send([{ topic: 'secure', headers: {}, value: Buffer.from('one') }])
    const seen: string[] = []
    const handle = (record: { value: Uint8Array | null }): Promise<void> => {
      seen.push(Buffer.from(record.value!).toString())
      return Promise.resolve()
    }
    const consumer = await startConsumer(secure, { groupId: 'secure', topic: 'secure', handle })
    await eventually(() => Promise.resolve(seen.length === 1), { what: 'the record' })
    const reader = await openReader(secure, 'secure')
    await reader.read({ partition: 0, from: 0n, to: 1n }, handle)
    expect(seen).toEqual(['one', 'one'])
    await Promise.all([consumer.stop(), producer.close(), reader.close()])
    await admin.close()
  })

  it('logs in by SCRAM-SHA-256 and PLAIN, too', async () => {
    const plain = { KAFKA_SASL_MECHANISM: 'plain', KAFKA_USERNAME: 'plain', KAFKA_PASSWORD: 'plain' }
    for (const env of [scram(await secret('first'), '256'), { ...plain, KAFKA_CA_FILE: ca.certificate }]) {
      const admin = await connectAdmin(settings(env))
      expect(await admin.topics()).toContain('secure')
      await admin.close()
    }
  })

  it('says at once that a password is wrong, and lets nobody in without TLS or by another CA', async () => {
    const began = performance.now()
    await expect(connectAdmin(settings(scram(await secret('wrong'))))).rejects.toThrow(
      /SASL SCRAM SHA512 authentication failed.*invalid credentials/,
    )
    expect(performance.now() - began).toBeLessThan(15_000) // kafkajs would try for longer
    const file = await secret('first')
    const other = settings({ ...scram(file), KAFKA_CA_FILE: otherCa.certificate })
    await expect(connectAdmin(other)).rejects.toThrow(/certificate/)
  }, 120_000)

  it('is logged in to by the file as it is when a connection is made', async () => {
    const file = await secret('first')
    const secure = settings(scram(file))
    const admin = await connectAdmin(secure)
    await kafka.setPassword('keeper', 'second')
    await expect(connectAdmin(secure)).rejects.toThrow(/authentication failed/)
    expect(await admin.topics()).toContain('secure') // its connection is not asked again
    await writeFile(file, 'second\n')
    const again = await connectAdmin(secure)
    expect(await again.topics()).toContain('secure')
    await Promise.all([admin.close(), again.close()])
  })

  it('appears in no log with its password', () => {
    expect(lines.length).toBeGreaterThan(0)
    expect(lines.filter((line) => /"(first|second|wrong|plain)"/.test(line))).toEqual([])
  })
})
