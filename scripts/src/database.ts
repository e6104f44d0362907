import { connectionOptions } from '@rates/service/database-address'
import pg from 'pg'

/** Creates the database that the URL names where the server does not have it. */
export async function ensureDatabase(databaseUrl: string): Promise<void> {
  const problem = await query(databaseUrl, 'select 1').catch((error: unknown) => error)
  if ((problem as { code?: string }).code !== '3D000') {
    if (problem instanceof Error) throw problem
    return
  }
  const name = decodeURIComponent(new URL(databaseUrl).pathname.slice(1))
  await query(withDatabase(databaseUrl, 'postgres'), `create database ${pg.escapeIdentifier(name)}`)
}

export function withDatabase(databaseUrl: string, name: string): string {
  const url = new URL(databaseUrl)
  url.pathname = `/${encodeURIComponent(name)}`
  return url.href
}

/** Whether somebody's data are in it: nothing is to be imported into those without being asked. */
export async function hasPorts(databaseUrl: string): Promise<boolean> {
  return (await query(databaseUrl, 'select from ports limit 1')).rowCount === 1
}

async function query(databaseUrl: string, text: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ ...connectionOptions(databaseUrl), connectionTimeoutMillis: 10_000 })
  await client.connect()
  try {
    return await client.query(text)
  } finally {
    await client.end()
  }
}
