import { randomBytes } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { isIP } from 'node:net'
import { startObjectStore, type ObjectStore } from '@rates/charts/object-store'
import { certify, makeCa } from '@rates/testing/certificates'
import { startSecureKafka, startSecurePostgres, type SecureKafka } from '@rates/testing/secure-servers'
import { temporaryFolder } from '@rates/testing/temporary-folder'
import pg from 'pg'

export const PARTS = ['migration', 'ingest', 'api'] as const
export type Part = (typeof PARTS)[number]
export const roleOf = { migration: 'rates_owner', ingest: 'rates_ingest', api: 'rates_api', reader: 'rates_reader' }

export const PREFIX = 'e2e.'
export const KAFKA_USER = 'rates'
export const BUCKET = 'dumps'

/** PostgreSQL, Kafka and an object store of this machine, as somebody else administers them for production. */
export interface ExternalServices {
  host: string
  postgresPort: number
  kafka: SecureKafka
  store: ObjectStore
  /** In PEM; of both servers. */
  ca: string
  passwords: Record<Part | 'reader' | 'kafka', string>
  /** As the superuser. */
  ask(statement: string, values?: unknown[]): Promise<pg.QueryResultRow[]>
  /** As the role for people's own SQL. */
  askAsReader(statement: string): Promise<pg.QueryResultRow[]>
  changeRole(part: Part, password: string): Promise<void>
  addRole(name: string, password: string): Promise<void>
  stop(): Promise<void>
}

/** With what a URL, a shell or a line of SQL would trip over. */
export const newPassword = (): string => `p@ss/w?rd:'%41 &#+=${randomBytes(6).toString('hex')}`
/** Kafka's own tool does not take everything. */
export const newKafkaPassword = (): string => `hush-${randomBytes(12).toString('hex')}`

/** Starts them at all addresses of this machine, `host` being the one by which pods reach it. */
export async function startExternalServices(host: string): Promise<ExternalServices> {
  const folder = await temporaryFolder()
  const releases: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })]
  const stop = async (): Promise<void> => {
    for (const release of releases.reverse()) await release()
  }
  try {
    const authority = await makeCa(folder, 'ca')
    const certificate = await certify(folder, authority, 'server', `${isIP(host) ? 'IP' : 'DNS'}:${host}`)
    const ca = await readFile(authority.certificate, 'utf8')
    const passwords = {
      ...{ migration: newPassword(), ingest: newPassword(), api: newPassword(), reader: newPassword() },
      kafka: newKafkaPassword(),
    }

    const kafka = await startSecureKafka(folder, certificate, { host })
    releases.push(() => kafka.stop())
    await kafka.setPassword(KAFKA_USER, passwords.kafka)
    await kafka.allow(KAFKA_USER, ['Read', 'Write', 'Describe', 'DescribeConfigs', 'Create'], 'topic', `${PREFIX}rates`)
    await kafka.allow(KAFKA_USER, ['Read', 'Describe', 'Delete'], 'group', `${PREFIX}rates`)

    // It takes the key's file for itself, hence after Kafka.
    const postgres = await startSecurePostgres(folder, certificate, { host })
    releases.push(() => postgres.stop())
    const client = new pg.Client({ connectionString: postgres.url, ssl: { ca } })
    client.on('error', () => undefined)
    await client.connect()
    releases.push(() => client.end())
    const addRole = async (name: string, password: string): Promise<void> => {
      await client.query(`create role ${name} login password ${pg.escapeLiteral(password)}`)
    }
    for (const part of [...PARTS, 'reader'] as const) await addRole(roleOf[part], passwords[part])
    await client.query(`create database rates owner ${roleOf.migration}`)

    const store = await startObjectStore(folder, BUCKET, host)
    releases.push(() => store.stop())
    return {
      host,
      postgresPort: postgres.port,
      kafka,
      store,
      ca,
      passwords,
      ask: async (statement, values) => (await client.query(statement, values)).rows as pg.QueryResultRow[],
      async askAsReader(statement) {
        const as = { host, port: postgres.port, database: 'rates', ssl: { ca } }
        const reader = new pg.Client({ ...as, user: roleOf.reader, password: passwords.reader })
        await reader.connect()
        try {
          return (await reader.query(statement)).rows as pg.QueryResultRow[]
        } finally {
          await reader.end()
        }
      },
      async changeRole(part, password) {
        await client.query(`alter role ${roleOf[part]} password ${pg.escapeLiteral(password)}`)
        passwords[part] = password
      },
      addRole,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}
