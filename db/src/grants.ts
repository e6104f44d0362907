import pg from 'pg'

/** The roles that a platform's parts log in by; the owner of the schema is nobody's in daily work. */
export type Part = 'ingest' | 'api' | 'reader'

/** What a part may do with a table or view. Services may read all of them, so that wait.ts can see its grants. */
export const NEEDS: Readonly<Record<string, Partial<Record<Part, string>>>> = {
  rates_migrations: { ingest: 'select', api: 'select' },
  regions: { ingest: 'select', api: 'select, insert, update', reader: 'select' },
  ports: { ingest: 'select', api: 'select, insert, update', reader: 'select' },
  catalog: { ingest: 'select', api: 'select, update' },
  batches: { ingest: 'select, insert, update, delete', api: 'select, insert, update' },
  batch_chunks: { ingest: 'select, insert, update, delete', api: 'select' },
  record_attempts: { ingest: 'select, insert, update, delete', api: 'select' },
  uploads: { ingest: 'select, delete', api: 'select, insert, update, delete' },
  hidden_batches: { ingest: 'select, insert, delete', api: 'select, insert, delete' },
  // To revert a batch is to take it out of merged packs: these are replaced.
  price_packs: { ingest: 'select, insert, update, delete', api: 'select, insert, update, delete' },
  prices: { ingest: 'select', api: 'select', reader: 'select' },
  webhooks: { ingest: 'select, insert, update, delete', api: 'select' },
  outbox: { ingest: 'select, insert, update, delete', api: 'select, insert' },
  query_answers: { api: 'select, insert, delete', ingest: 'select' },
  claims: { api: 'select, insert, update, delete', ingest: 'select' },
  claim_parts: { api: 'select, insert, delete', ingest: 'select' },
  object_loads: { ingest: 'select, insert, update, delete', api: 'select' },
  leases: { ingest: 'select, insert, update, delete', api: 'select' },
  workers: { ingest: 'select, insert, update, delete', api: 'select' },
  worker_stages: { ingest: 'select, insert, update, delete', api: 'select' },
  backlog: { ingest: 'select, insert, update', api: 'select' },
}

/** What services read: whoever may not has not got its grants yet. */
export const READ_BY_SERVICES = Object.keys(NEEDS).filter((name) => NEEDS[name]!.api && NEEDS[name]!.ingest)

/** The roles of each part, which are there already. */
export type Grantees = Readonly<Partial<Record<Part, readonly string[]>>>

/** A role that is to get grants does not exist. */
export class MissingRoles extends Error {
  constructor(roles: string[]) {
    super(`there is no role ${roles.join(', ')}: whoever administers the server creates roles`)
    this.name = 'MissingRoles'
  }
}

/**
 * Gives roles what their parts need of the tables that are there, all in one instant. It only adds: harmless to repeat,
 * also where a role is the owner or stands for two parts. The connection has to be the owner's. @throws MissingRoles
 */
export async function grant(client: pg.ClientBase, grantees: Grantees): Promise<void> {
  const roles = [...new Set(Object.values(grantees).flat())]
  const { rows } = await client.query<{ missing: string[] | null; schema: string; there: string[] }>(
    `select (select array_agg(r) from unnest($1::text[]) r where not exists (select from pg_roles where rolname = r)) as missing,
       current_schema() as schema,
       array(select t from unnest($2::text[]) t where to_regclass(t) is not null) as there`,
    [roles, Object.keys(NEEDS)],
  )
  const { missing, schema, there } = rows[0]!
  if (missing) throw new MissingRoles(missing)
  await client.query('begin')
  for (const part of ['ingest', 'api', 'reader'] as const) {
    const to = (grantees[part] ?? []).map((role) => pg.escapeIdentifier(role)).join(', ')
    if (to === '') continue
    await client.query(`grant usage on schema ${pg.escapeIdentifier(schema)} to ${to}`)
    for (const table of there) {
      const privileges = NEEDS[table]![part]
      if (privileges) await client.query(`grant ${privileges} on ${table} to ${to}`)
    }
  }
  await client.query('commit')
}
