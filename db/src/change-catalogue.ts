import { withTransaction } from '@rates/service/postgres'
import { type Pool } from 'pg'
import { type KnownCatalogue } from './catalogue.ts'
import {
  CatalogueRefused,
  fault,
  MAX_DEPTH,
  type CatalogueEntry,
  type CatalogueFault,
  type CatalogueKind,
} from './catalogue-entry.ts'
import { type GivenEntries } from './catalogue-file.ts'
import { lockCatalogue, writePorts, writeRegions, type UpsertCounts } from './upsert-catalogue.ts'

export interface CatalogueChange {
  key: string
  /** Null: it is new. */
  before: { name: string; parent: string | null } | null
  after: { name: string; parent: string | null }
}

export interface CatalogueChanges extends UpsertCounts {
  /** What is added and changed, in the order given. */
  changes: CatalogueChange[]
}

/**
 * Brings ports or regions to what is given, all of it in one transaction or nothing; what is not given stays. With
 * `dryRun` it only tells what it would do.
 * @throws CatalogueRefused with every fault, those that came with the entries too
 */
export function changeCatalogue(
  pool: Pool,
  kind: CatalogueKind,
  given: GivenEntries,
  { dryRun = false } = {},
): Promise<CatalogueChanges> {
  return withTransaction(pool, async (client) => {
    const known = await lockCatalogue(client)
    const faults = [...given.faults, ...(kind === 'ports' ? portFaults(given, known) : regionFaults(given, known))]
    if (faults.length > 0) throw new CatalogueRefused(faults.sort((a, b) => (a.line ?? 0) - (b.line ?? 0)))

    const changes = [...given.entries.values()].flatMap((entry) => changeOf(entry, there(kind, known, entry.key)))
    if (!dryRun && kind === 'ports') {
      await writePorts(
        client,
        changes.map(({ key, after }) => ({ code: key, name: after.name, region: after.parent! })),
      )
    } else if (!dryRun) {
      await writeRegions(
        client,
        changes.map(({ key, after }) => ({ slug: key, ...after })),
      )
    }
    const added = changes.filter(({ before }) => before === null).length
    return { added, changed: changes.length - added, unchanged: given.entries.size - changes.length, changes }
  })
}

type Content = Omit<CatalogueEntry, 'key'>

function there(kind: CatalogueKind, known: KnownCatalogue, key: string): Content | undefined {
  if (kind === 'regions') return known.regions.get(key)
  const port = known.ports.get(key)
  return port && { name: port.name, parent: port.region }
}

function changeOf({ key, name, parent }: CatalogueEntry, before: Content | undefined): CatalogueChange[] {
  if (before?.name === name && before.parent === parent) return []
  return [{ key, before: before ? { name: before.name, parent: before.parent } : null, after: { name, parent } }]
}

function portFaults({ entries, spoilt, parentField }: GivenEntries, known: KnownCatalogue): CatalogueFault[] {
  return [...entries.values(), ...spoilt].flatMap(({ parent, line }) =>
    parent === null || known.regions.has(parent) ? [] : [fault(line, parentField, parent, 'unknown_region')],
  )
}

/** A parent may come later in the file, and may be new. */
function regionFaults({ entries, spoilt, parentField }: GivenEntries, known: KnownCatalogue): CatalogueFault[] {
  const parentOf = (slug: string): string | null => (entries.get(slug) ?? known.regions.get(slug))?.parent ?? null
  const given = new Set([...entries.keys(), ...spoilt.map(({ key }) => key)])
  const { depths, circles } = survey(entries.keys(), parentOf)
  return [...entries.values(), ...spoilt].flatMap(({ key, parent, line }) => {
    if (parent === null) return []
    if (!given.has(parent) && !known.regions.has(parent)) return [fault(line, parentField, parent, 'unknown_region')]
    if (circles.has(key)) return [fault(line, parentField, parent, 'cycle')]
    const depth = depths.get(key) ?? 0
    return depth > MAX_DEPTH && depth < Infinity ? [fault(line, parentField, parent, 'too_deep')] : []
  })
}

/** How deep each region lies (1: a root; Infinity: below a circle), and which are their own ancestors; each is met once. */
function survey(
  slugs: Iterable<string>,
  parentOf: (slug: string) => string | null,
): { depths: ReadonlyMap<string, number>; circles: ReadonlySet<string> } {
  const depths = new Map<string, number>()
  const circles = new Set<string>()
  for (const slug of slugs) {
    const path = new Set<string>()
    let at: string | null = slug
    while (at !== null && !depths.has(at) && !path.has(at)) {
      path.add(at)
      at = parentOf(at)
    }
    const up = [...path]
    const isRound = at !== null && path.has(at)
    if (isRound) for (const each of up.slice(up.indexOf(at!))) circles.add(each)
    let depth = isRound ? Infinity : at === null ? 0 : depths.get(at)!
    for (const each of up.reverse()) depths.set(each, ++depth)
  }
  return { depths, circles }
}
