import { setTimeout as sleep } from 'node:timers/promises'
import { databaseSettings, loadConfig } from '@rates/service/config'
import { z } from 'zod'
import { READ_BY_SERVICES } from './grants.ts'
import { messageOf, runJob } from './job.ts'
import { connect, MigrationChanged, pendingMigrations } from './migrate.ts'

// The init container of the services: ends well once the database has all migrations of this version and the role that
// it logs in by may read the tables. It waits for whatever it takes and says for what. It writes nothing.

runJob('wait', async () => {
  const { DATABASE_URL: url } = loadConfig(z.object(databaseSettings))
  for (let told = ''; ;) {
    const missing = await whatIsMissing(url)
    if (missing === undefined) return console.log('the schema is ready')
    if (missing !== told) console.log(`waiting for ${(told = missing)}`)
    await sleep(1000)
  }
})

async function whatIsMissing(url: string): Promise<string | undefined> {
  try {
    const pending = await pendingMigrations(url)
    if (pending.length > 0) return `migrations: ${pending.join(', ')}`
    const unreadable = await tablesThatMayNotBeRead(url)
    return unreadable.length > 0 ? `the grants of its role on ${unreadable.join(', ')}` : undefined
  } catch (error) {
    if (error instanceof MigrationChanged) throw error // no waiting mends it
    if ((error as { code?: string }).code === '42501') return 'the grants of its role'
    return `PostgreSQL: ${messageOf(error)}`
  }
}

async function tablesThatMayNotBeRead(url: string): Promise<string[]> {
  const client = await connect(url)
  try {
    const { rows } = await client.query<{ name: string }>(
      `select name from unnest($1::text[]) name where not has_table_privilege(to_regclass(name), 'select')`,
      [READ_BY_SERVICES],
    )
    return rows.map(({ name }) => name)
  } finally {
    await client.end()
  }
}
