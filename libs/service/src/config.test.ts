import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { ConfigError, databaseSettings, kafkaSettings, loadConfig, objectStoreSettings } from './config.ts'
import { connectionOptions, databaseAddress } from './database-address.ts'
import { kafkaSecurity } from './kafka-security.ts'
import { s3Settings } from './open-object-store.ts'

const schema = z.object({ ...databaseSettings, ...kafkaSettings, ...objectStoreSettings })
const PLACES = { DATABASE_URL: 'postgres://u@h:5/d', KAFKA_BROKERS: 'h:9092' }

let folder: string
let password: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rates config&'))
  password = join(folder, 'pass?word')
  await writeFile(password, 'secret\n')
})
afterAll(() => rm(folder, { recursive: true }))

function faults(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(schema, env)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

describe('loadConfig', () => {
  it('tells every fault at once, and no secret', async () => {
    await writeFile(join(folder, 'empty'), '\n')
    const found = faults({
      DATABASE_URL: 'mysql://u:hush@h/d',
      DATABASE_PASSWORD_FILE: '/nowhere',
      DATABASE_CA_FILE: password,
      DATABASE_POOL: '0',
      KAFKA_BROKERS: 'h',
      KAFKA_TLS: 'yes',
      KAFKA_SASL_MECHANISM: 'gssapi',
      KAFKA_PASSWORD: 'hush',
      KAFKA_PASSWORD_FILE: join(folder, 'empty'),
      S3_ENDPOINT: 'store:9000',
      S3_SECRET_ACCESS_KEY_FILE: '/nowhere',
      S3_CA_FILE: password,
    })
    expect(found).toEqual([
      'DATABASE_URL is not a URL of the form postgres://user:password@host:port/database',
      'DATABASE_PASSWORD_FILE is a file that cannot be read: ENOENT (it is "/nowhere")',
      `DATABASE_CA_FILE is a file without a certificate in PEM (it is ${JSON.stringify(password)})`,
      'DATABASE_POOL Too small: expected number to be >=1 (it is "0")',
      'KAFKA_BROKERS is not a list of host:port (it is "h")',
      'KAFKA_TLS is neither true nor false (it is "yes")',
      'KAFKA_SASL_MECHANISM is none of plain, scram-sha-256, scram-sha-512 (it is "gssapi")',
      `KAFKA_PASSWORD_FILE is an empty file (it is ${JSON.stringify(join(folder, 'empty'))})`,
      'S3_ENDPOINT is not a URL of http or https (it is "store:9000")',
      'S3_SECRET_ACCESS_KEY_FILE is a file that cannot be read: ENOENT (it is "/nowhere")',
      `S3_CA_FILE is a file without a certificate in PEM (it is ${JSON.stringify(password)})`,
      'DATABASE_URL has a password, and DATABASE_PASSWORD_FILE another',
      'KAFKA_USERNAME is not set, but other settings of the login are',
      'KAFKA_PASSWORD and KAFKA_PASSWORD_FILE are both set',
      'S3_SECRET_ACCESS_KEY_FILE is set, and S3_ACCESS_KEY_ID_FILE is not',
    ])
    expect(found.join('\n')).not.toMatch(/hush|secret/)
  })

  it.each([
    [
      { KAFKA_USERNAME: 'u', KAFKA_PASSWORD: 'p' },
      'KAFKA_SASL_MECHANISM is not set, but other settings of the login are',
    ],
    [
      { KAFKA_USERNAME: 'u', KAFKA_SASL_MECHANISM: 'plain' },
      'neither KAFKA_PASSWORD nor KAFKA_PASSWORD_FILE is set, but others of the login',
    ],
    [
      { KAFKA_SASL_MECHANISM: 'plain', KAFKA_PASSWORD: 'p' },
      'KAFKA_USERNAME is not set, but other settings of the login are',
    ],
  ])('wants all of a login: %j', (env, fault) => {
    expect(faults({ ...PLACES, ...env })).toEqual([fault])
  })

  it('wants one word on TLS', () => {
    const ca = { DATABASE_CA_FILE: '/nowhere', KAFKA_CA_FILE: '/nowhere', KAFKA_TLS: 'false' }
    const found = faults({ ...PLACES, DATABASE_URL: 'postgres://h/d?sslmode=no-verify', ...ca })
    expect(found).toContain('DATABASE_URL says how to use TLS (ssl...), and DATABASE_CA_FILE, too')
    expect(found).toContain('KAFKA_TLS is false, and KAFKA_CA_FILE turns TLS on')
  })

  it('wants both keys of an object store, and a CA only where there is TLS', () => {
    const endpoint = { S3_ENDPOINT: 'http://store:9000' }
    expect(faults({ ...PLACES, ...endpoint, S3_ACCESS_KEY_ID_FILE: password })).toEqual([
      'S3_ACCESS_KEY_ID_FILE is set, and S3_SECRET_ACCESS_KEY_FILE is not',
    ])
    expect(faults({ ...PLACES, ...endpoint, S3_CA_FILE: '/nowhere' })).toContain(
      'S3_CA_FILE is set, and S3_ENDPOINT is without TLS (http)',
    )
  })

  it('reads the keys of an object store anew at each use', async () => {
    const files = { id: join(folder, 'id'), secret: join(folder, 'secret') }
    const write = (id: string, secret: string): Promise<unknown> =>
      Promise.all([writeFile(files.id, `${id}\n`), writeFile(files.secret, `${secret}\n`)])
    await write('one', 'of one')
    const keys = { S3_ACCESS_KEY_ID_FILE: files.id, S3_SECRET_ACCESS_KEY_FILE: files.secret }
    const { credentials, ...rest } = s3Settings(loadConfig(schema, { ...PLACES, ...keys }))
    expect(rest).toEqual({ endpoint: undefined, region: 'us-east-1', caFile: undefined })
    const read = credentials as () => unknown
    expect(read()).toEqual({ accessKeyId: 'one', secretAccessKey: 'of one' })
    await write('two', 'of two')
    expect(read()).toEqual({ accessKeyId: 'two', secretAccessKey: 'of two' })
    expect(s3Settings(loadConfig(schema, PLACES)).credentials).toBeUndefined()
  })

  it('needs nothing of all that', () => {
    const settings = loadConfig(schema, PLACES)
    expect(settings).toMatchObject({ DATABASE_URL: 'postgres://u@h:5/d', DATABASE_POOL: 8, KAFKA_TLS: false })
    expect(kafkaSecurity(settings)).toEqual({ tls: undefined, login: undefined })
  })

  it('gives an address with the password file in it, which does not hold the password', () => {
    const { DATABASE_URL: address } = loadConfig(schema, { ...PLACES, DATABASE_PASSWORD_FILE: password })
    expect(address).not.toContain('secret')
    const options = connectionOptions(address)
    expect(options).toMatchObject({ user: 'u', host: 'h', port: 5, database: 'd' })
    expect((options.password as () => string)()).toBe('secret')
    expect(databaseAddress(address, { password })).toBe(address) // as a process hands it on to one that has the same settings
  })

  it('takes the rest of a URL as it always was', () => {
    expect(connectionOptions('postgres://a%40b:c%2Fd@h/e?application_name=f')).toEqual({
      user: 'a@b',
      password: 'c/d',
      host: 'h',
      database: 'e',
      application_name: 'f',
    })
    const mixed = databaseAddress('postgres://u@h/d?sslmode=no-verify&passwordfile=x', { password })
    expect(connectionOptions(mixed)).toMatchObject({ ssl: { rejectUnauthorized: false } })
    expect((connectionOptions(mixed).password as () => string)()).toBe('secret')
  })
})
