import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { connectionOptions } from '@rates/service/database-address'
import pg from 'pg'
import { type Logger, type MigrationInterface, type QueryRunner } from 'typeorm'

/** db/migrations, seen from db/src and from db/dist alike. */
const MIGRATIONS = fileURLToPath(new URL('../migrations/', import.meta.url))
const TABLE = 'rates_migrations'
/** Any number that no other user of the database takes: 'rates' in ASCII. */
const LOCK = 0x7261746573

/** A file of db/migrations was changed after this database had applied it. */
export class MigrationChanged extends Error {
  constructor(file: string) {
    super(
      `${file} was changed after it was applied to this database. A migration that has run is never edited: ` +
        `write a new one, or start over with an empty database (npm run reset).`,
    )
    this.name = 'MigrationChanged'
  }
}

interface MigrationFile {
  /** `0001_schema` */
  name: string
  number: number
  sql: string
  /** What the table of applied migrations keeps: name, checksum, and the 13 digits that TypeORM orders by. */
  recorded: string
}

/**
 * Brings a database to the schema of db/migrations: each file that is not applied yet, in order of its number, in a
 * transaction of its own. Several migrators at once are safe: one works, the others wait and find nothing left to do.
 * Needs a direct connection (a pooler in transaction mode would lose the advisory lock).
 *
 * @param onStep called with a file's name (`0001_schema`) once it has run
 * @param folder where the files are, for tests
 * @returns the names of the files applied by this call
 */
export async function migrate(
  databaseUrl: string,
  onStep?: (name: string) => void,
  folder = MIGRATIONS,
): Promise<string[]> {
  const files = await readMigrations(folder)
  return asMigrator(databaseUrl, async (client) => {
    const pending = await findPending(client, files)
    if (pending.length > 0) await runWithTypeOrm(databaseUrl, pending, onStep)
    return pending.map(({ name }) => name)
  })
}

/** Runs `work` while no other migrator works, on a connection of its own: the lock ends with it, whatever happens. */
export async function asMigrator<T>(databaseUrl: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connect(databaseUrl)
  try {
    await client.query('select pg_advisory_lock($1)', [LOCK])
    return await work(client)
  } finally {
    await client.end()
  }
}

/** The names of the files that a database has not applied yet. Takes no lock and writes nothing. */
export async function pendingMigrations(databaseUrl: string, folder = MIGRATIONS): Promise<string[]> {
  const files = await readMigrations(folder)
  const client = await connect(databaseUrl)
  try {
    return (await findPending(client, files)).map(({ name }) => name)
  } finally {
    await client.end()
  }
}

export async function connect(databaseUrl: string): Promise<pg.Client> {
  const client = new pg.Client({
    ...connectionOptions(databaseUrl),
    application_name: 'rates-migrate',
    keepAlive: true,
    connectionTimeoutMillis: 10_000,
  })
  client.on('error', () => undefined) // the query that is running rejects; without a listener the process would end
  await client.connect()
  return client
}

async function readMigrations(folder: string): Promise<MigrationFile[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  const files = await Promise.all(
    names.map(async (file): Promise<MigrationFile> => {
      const number = Number(/^(\d{4})_[a-z0-9_]+\.sql$/.exec(file)?.[1])
      if (!number) throw new Error(`db/migrations/${file}: a migration is named like 0002_what_it_does.sql`)
      const sql = await readFile(`${folder}/${file}`, 'utf8')
      const name = file.slice(0, -'.sql'.length)
      // Not the raw bytes: a checkout with CRLF line ends is the same migration.
      const checksum = createHash('sha256').update(sql.replaceAll('\r\n', '\n')).digest('hex').slice(0, 12)
      return { name, number, sql, recorded: `${name}_${checksum}_${String(number).padStart(13, '0')}` }
    }),
  )
  files.forEach((file, i) => {
    if (file.number === files[i - 1]?.number) throw new Error(`db/migrations: two files have the number ${file.number}`)
  })
  return files
}

async function findPending(client: pg.Client, files: MigrationFile[]): Promise<MigrationFile[]> {
  const table = await client.query<{ present: boolean }>('select to_regclass($1) is not null as present', [TABLE])
  if (!table.rows[0]!.present) return files
  const applied = await client.query<{ timestamp: string; name: string }>(`select timestamp, name from ${TABLE}`)
  const nameByNumber = new Map(applied.rows.map(({ timestamp, name }) => [Number(timestamp), name]))
  return files.filter(({ number, name, recorded }) => {
    const there = nameByNumber.get(number)
    if (there !== undefined && there !== recorded) throw new MigrationChanged(`db/migrations/${name}.sql`)
    return there === undefined
  })
}

const nothing = (): void => undefined
/** What TypeORM prints of a failure is in the error too. */
const silent: Logger = {
  logQuery: nothing,
  logQueryError: nothing,
  logQuerySlow: nothing,
  logSchemaBuild: nothing,
  logMigration: nothing,
  log: nothing,
}

async function runWithTypeOrm(url: string, files: MigrationFile[], onStep?: (name: string) => void): Promise<void> {
  const { DataSource } = await import('typeorm') // 28 MB that a process asking for pendingMigrations does without
  const source = new DataSource({
    type: 'postgres',
    extra: connectionOptions(url),
    applicationName: 'rates-migrate',
    installExtensions: false,
    migrations: files.map((file) => migrationClass(file, onStep)),
    migrationsTableName: TABLE,
    migrationsTransactionMode: 'each',
    logger: silent,
  })
  await source.initialize()
  try {
    await source.runMigrations()
  } finally {
    await source.destroy()
  }
}

function migrationClass({ name, sql, recorded }: MigrationFile, onStep?: (name: string) => void) {
  return class implements MigrationInterface {
    name = recorded

    async up(runner: QueryRunner): Promise<void> {
      await runner.query(sql).catch((cause: unknown) => {
        throw new Error(`db/migrations/${name}.sql: ${(cause as Error).message}`, { cause })
      })
      onStep?.(name)
    }

    down(): Promise<void> {
      return Promise.reject(new Error('migrations only go forward'))
    }
  }
}
