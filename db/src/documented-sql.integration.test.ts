import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { createTestDatabase, type TestDatabase } from '@rates/testing/postgres'
import pg from 'pg'

const docs = new URL('../../docs/', import.meta.url)
const pages = [
  'operations.md',
  'observability.md',
  'kubernetes.md',
  ...readdirSync(new URL('runbooks/', docs)).map((name) => `runbooks/${name}`),
]

/** What is to be typed while something is wrong: in blocks, and in running text. Roles and tables are not made here. */
const statements = pages.flatMap((page) => {
  const text = readFileSync(new URL(page, docs), 'utf8')
  const blocks = [...text.matchAll(/^ *```sql\n([^`]*)^ *```/gm)].flatMap(([, sql]) => sql!.split(';'))
  const inline = [...text.matchAll(/(?<!`)`([^`\n]+)`(?!`)/g)].flatMap(([, code]) => code!.split(';'))
  return [...blocks, ...inline]
    .map((sql) => sql.trim().replaceAll('PID', '1'))
    .filter((sql) => /^(select|update|delete from|insert into) /.test(sql))
    .map((sql) => [page, sql] as const)
})

let database: TestDatabase
let client: pg.Client

beforeAll(async () => {
  database = await createTestDatabase()
  client = new pg.Client({ connectionString: database.url })
  await client.connect()
})
afterAll(async () => {
  await client.end()
  await database.drop()
})

it('is a lot', () => {
  expect(statements.length).toBeGreaterThan(20)
})

it.each(statements)('of %s is of tables and columns that there are: %s', async (_, sql) => {
  await expect(client.query(`explain ${sql}`)).resolves.toMatchObject({ command: 'EXPLAIN' })
})
