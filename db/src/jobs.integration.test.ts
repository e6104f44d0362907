import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { connectAdmin } from '@rates/service/kafka-admin'
import { createLogger } from '@rates/service/log'
import { topicNames } from '@rates/service/topics'
import { coordinate } from '@rates/testing/coordinate'
import { eventually } from '@rates/testing/eventually'
import pg from 'pg'
import { NEEDS } from './grants.ts'

const mark = randomBytes(4).toString('hex')
const role = (name: string): string => `${name}_${mark}`
const [owner, ingest, api, reader] = ['owner', 'ingest', 'api', 'reader'].map(role) as [string, string, string, string]
const roles = [owner, ingest, api, reader]
const database = `jobs_${mark}`
const prefix = `jobs-${mark}.`
const brokers = coordinate('RATES_TEST_BROKERS').split(',')

function addressOf(name: string, password = 'secret'): string {
  const url = new URL(`/${database}`, coordinate('RATES_TEST_DATABASE_URL'))
  url.username = name
  url.password = password
  return url.href
}

async function ask(url: string, ...statements: string[]): Promise<pg.QueryResultRow[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    let rows: pg.QueryResultRow[] = []
    for (const statement of statements) rows = (await client.query(statement)).rows as pg.QueryResultRow[]
    return rows
  } finally {
    await client.end()
  }
}
const asSuperuser = (...statements: string[]): Promise<unknown> =>
  ask(coordinate('RATES_TEST_DATABASE_URL'), ...statements)

interface Ran {
  code: number | null
  said: string
}
interface Running {
  said: () => string
  done: Promise<Ran>
  kill(): void
}

/** A Job's process, as it is started in its image. */
function start(job: string, env: Record<string, string>, ...args: string[]): Running {
  const file = fileURLToPath(new URL(`./${job}.ts`, import.meta.url))
  const child = spawn(process.execPath, ['--conditions=source', file, ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += String(data)))
  const done = new Promise<Ran>((resolve) => child.once('close', (code) => resolve({ code, said })))
  return { said: () => said, done, kill: () => void child.kill('SIGTERM') }
}

beforeAll(() =>
  asSuperuser(
    ...roles.map((each) => `create role ${each} login password 'secret'`),
    `create database ${database} owner ${owner}`,
  ),
)
afterAll(async () => {
  const admin = await connectAdmin({ brokers, clientId: 'jobs-test', log: createLogger('jobs-test', 'silent') })
  await admin.deleteTopics(Object.values(topicNames(prefix))).catch(() => undefined)
  await admin.close()
  await asSuperuser(`drop database ${database} with (force)`, ...roles.map((each) => `drop role ${each}`))
})

describe('the migration Job', () => {
  const env = {
    DATABASE_URL: addressOf(owner),
    GRANT_INGEST_TO: ingest,
    GRANT_API_TO: api,
    GRANT_READ_TO: reader,
    KAFKA_BROKERS: brokers.join(','),
    KAFKA_PREFIX: prefix,
    TOPIC_PARTITIONS: '2',
  }

  it('is waited for; migrates as an owner who is no superuser, grants, makes topics; again it does nothing', async () => {
    const waiting = start('wait', { DATABASE_URL: addressOf(api) })
    await eventually(() => Promise.resolve(waiting.said().includes('waiting for migrations: 0001_schema')), {
      what: 'the wait telling what it waits for',
    })
    const { DATABASE_URL } = env
    expect(await start('main', { DATABASE_URL }).done).toMatchObject({ code: 0 })
    await eventually(() => Promise.resolve(waiting.said().includes('waiting for the grants of its role')), {
      what: 'the wait telling that it has no grants',
    })
    const [first, again] = [await start('main', env).done, await start('main', env).done]
    for (const { code, said } of [first, again]) {
      expect([code, said]).toEqual([0, expect.stringContaining('nothing to do: the schema is up to date')])
    }
    expect(first.said).toContain(`granted: ingest to ${ingest}; api to ${api}; reader to ${reader}`)
    expect([first.said, again.said]).toEqual([
      expect.stringContaining('topics: 6 new, 0 there'),
      expect.stringContaining('topics: 0 new, 6 there'),
    ])
    expect(await waiting.done).toMatchObject({
      code: 0,
      said: expect.stringMatching(/the schema is ready\n$/),
    })
  })

  it('knows every table there is', async () => {
    const tables = await ask(
      addressOf(owner),
      `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v') order by 1`,
    )
    expect(tables.map(({ name }) => name as string)).toEqual(Object.keys(NEEDS).sort())
  })

  it('leaves everybody without what is not theirs', async () => {
    const refused: [string, string[]][] = [
      [
        ingest,
        [
          'drop table price_packs',
          'truncate price_packs',
          'alter table batches add column x int',
          `insert into ports (code, name, parent_slug) values ('X', 'X', 'x')`,
          `update regions set name = 'x'`,
          'update catalog set version = 0',
          'delete from rates_migrations',
        ],
      ],
      [
        api,
        [
          'drop table price_packs',
          'truncate batches',
          'delete from batches',
          'delete from batch_chunks',
          'delete from outbox',
          'delete from ports',
          'update leases set until = clock_timestamp()',
          'delete from rates_migrations',
        ],
      ],
      [
        reader,
        [
          'select from batches',
          'select from price_packs',
          'select from outbox',
          `update ports set name = 'x'`,
          'drop view prices',
        ],
      ],
    ]
    for (const [who, statements] of refused) {
      for (const statement of statements) {
        const outcome = await ask(addressOf(who), statement).catch((error: { code: string }) => error.code)
        expect([who, statement, outcome]).toEqual([who, statement, '42501'])
      }
    }
    expect(await ask(addressOf(reader), 'select from ports', 'select from regions', 'select * from prices')).toEqual([])
  })

  it('says that a role is missing, and grants nothing then', async () => {
    const ran = await start('main', { DATABASE_URL: env.DATABASE_URL, GRANT_READ_TO: `${reader},nobody_${mark}` }).done
    expect(ran).toMatchObject({ code: 1, said: expect.stringContaining(`there is no role nobody_${mark}`) })
  })

  it('tells all that is wrong with its settings, and says at once that its password is', async () => {
    const wrong = await start('main', { DATABASE_URL: 'h', TOPIC_PARTITIONS: 'x', KAFKA_TLS: 'no' }).done
    expect(wrong.code).toBe(2)
    expect(wrong.said).toMatch(/3 settings are wrong:\n {2}DATABASE_URL .*\n {2}KAFKA_TLS .*\n {2}TOPIC_PARTITIONS /)
    const refused = await start('main', { DATABASE_URL: addressOf(owner, 'hush') }).done
    expect(refused).toEqual({
      code: 1,
      said: expect.stringMatching(/^migration: password authentication failed/),
    })
  })

  it('ends at a signal while it waits', async () => {
    const waiting = start('wait', { DATABASE_URL: 'postgres://127.0.0.1:1/none' })
    await eventually(() => Promise.resolve(waiting.said().includes('waiting for PostgreSQL: connect ECONNREFUSED')), {
      what: 'the wait telling what it waits for',
    })
    waiting.kill()
    expect(await waiting.done).toMatchObject({ code: 143 })
  })
})
