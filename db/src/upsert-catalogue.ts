import { type ClientBase } from 'pg'
import { type KnownCatalogue, type PortRow, type RegionRow } from './catalogue.ts'

export interface UpsertCounts {
  added: number
  changed: number
  unchanged: number
}

/** The regions and ports of a database. */
export async function readCatalogue(client: Pick<ClientBase, 'query'>): Promise<KnownCatalogue> {
  const regions = await client.query<RegionRow>('select slug, name, parent_slug as parent from regions')
  const ports = await client.query<PortRow>('select code, name, parent_slug as region from ports')
  return {
    regions: new Map(regions.rows.map((region) => [region.slug, region])),
    ports: new Map(ports.rows.map((port) => [port.code, port])),
  }
}

/** Makes the caller's transaction the only one that changes the catalogue, and reads it. */
export async function lockCatalogue(client: ClientBase): Promise<KnownCatalogue> {
  await client.query('select version from catalog for update')
  return readCatalogue(client)
}

/**
 * Brings regions and ports to what a dump says, within the caller's transaction; what the dump does not name stays. Only
 * rows that differ are written, so that a second run neither raises the catalogue's version nor uses up port ids.
 */
export async function upsertCatalogue(
  client: ClientBase,
  dump: { regions: readonly RegionRow[]; ports: readonly PortRow[] },
): Promise<{ regions: UpsertCounts; ports: UpsertCounts }> {
  const known = await lockCatalogue(client)
  const regions = compare(
    dump.regions,
    ({ slug }) => known.regions.get(slug),
    (a, b) => a.name === b.name && a.parent === b.parent,
  )
  const ports = compare(
    dump.ports,
    ({ code }) => known.ports.get(code),
    (a, b) => a.name === b.name && a.region === b.region,
  )
  await writeRegions(client, regions.differing)
  await writePorts(client, ports.differing)
  return { regions: regions.counts, ports: ports.counts }
}

/** Under the lock of the catalogue. */
export async function writeRegions(client: ClientBase, regions: readonly RegionRow[]): Promise<void> {
  if (regions.length === 0) return
  // One statement for all, for their references to each other are checked at its end.
  await client.query(
    `insert into regions (slug, name, parent_slug)
     select * from unnest($1::text[], $2::text[], $3::text[])
     on conflict (slug) do update set name = excluded.name, parent_slug = excluded.parent_slug`,
    columns(regions, ({ slug, name, parent }) => [slug, name, parent]),
  )
  await client.query('set constraints all immediate') // a cycle of regions is told here and not by COMMIT
}

/** Under the lock of the catalogue. */
export async function writePorts(client: ClientBase, ports: readonly PortRow[]): Promise<void> {
  if (ports.length === 0) return
  await client.query(
    `insert into ports (code, name, parent_slug)
     select * from unnest($1::text[], $2::text[], $3::text[])
     on conflict (code) do update set name = excluded.name, parent_slug = excluded.parent_slug`,
    columns(ports, ({ code, name, region }) => [code, name, region]),
  )
}

function compare<T>(rows: readonly T[], find: (row: T) => T | undefined, same: (a: T, b: T) => boolean) {
  const counts: UpsertCounts = { added: 0, changed: 0, unchanged: 0 }
  const differing = rows.filter((row) => {
    const there = find(row)
    counts[!there ? 'added' : same(row, there) ? 'unchanged' : 'changed']++
    return !there || !same(row, there)
  })
  return { counts, differing }
}

/** Rows as one array for each of three columns. */
function columns<T>(rows: readonly T[], values: (row: T) => (string | null)[]): (string | null)[][] {
  const all = rows.map(values)
  return [0, 1, 2].map((column) => all.map((row) => row[column]!))
}
