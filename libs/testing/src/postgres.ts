import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { coordinate } from './coordinate.ts'

export interface TestDatabase {
  url: string
  drop(): Promise<void>
}

/** A database of the caller's own: a copy of the migrated and otherwise empty template. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const name = `rates_test_${randomBytes(6).toString('hex')}`
  await maintain(`create database ${name} template ${coordinate('RATES_TEST_TEMPLATE')}`)
  const url = new URL(coordinate('RATES_TEST_DATABASE_URL'))
  url.pathname = `/${name}`
  return { url: url.href, drop: () => maintain(`drop database if exists ${name} with (force)`) }
}

async function maintain(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: coordinate('RATES_TEST_DATABASE_URL') })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
