import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import pg from 'pg'
import { createTestDatabase, type TestDatabase } from './postgres.ts'

describe('createTestDatabase', () => {
  const databases: TestDatabase[] = []
  const ask = async (database: TestDatabase, text: string) => {
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    try {
      return (await client.query<Record<string, unknown>>(text)).rows
    } finally {
      await client.end()
    }
  }

  beforeAll(async () => {
    databases.push(...(await Promise.all([createTestDatabase(), createTestDatabase()])))
  })
  afterAll(() => Promise.all(databases.map((database) => database.drop())))

  it('gives migrated databases that know nothing of one another', async () => {
    const [one, other] = databases as [TestDatabase, TestDatabase]
    await ask(one, `insert into regions (slug, name) values ('here', 'Here')`)
    expect(await ask(one, 'select slug from regions')).toEqual([{ slug: 'here' }])
    expect(await ask(other, 'select slug from regions')).toEqual([])
  })

  it('drops a database that is still connected to', async () => {
    const database = await createTestDatabase()
    const client = new pg.Client({ connectionString: database.url })
    client.on('error', () => undefined)
    await client.connect()
    await database.drop()
    await expect(ask(database, 'select 1')).rejects.toThrow('does not exist')
    await client.end().catch(() => undefined)
  })
})
