import { DumpRefused, shown } from './dump-refused.ts'
import { type Row } from './dump-rows.ts'

export interface RegionRow {
  slug: string
  name: string
  parent: string | null
}

export interface PortRow {
  code: string
  name: string
  region: string
}

/** What the database has already: a dump may refer to it, and what both have is taken from the dump. */
export interface KnownCatalogue {
  regions: ReadonlyMap<string, RegionRow>
  ports: ReadonlyMap<string, PortRow>
}

/** The catalogue is held in memory; this is far above all ports and regions of the world. */
const MAX_ENTRIES = 500_000

/** The regions and ports of a dump, checked row by row and, at the end, against each other. */
export class DumpCatalogue {
  readonly regions = new Map<string, RegionRow & { line: number }>()
  readonly ports = new Map<string, PortRow & { line: number }>()

  addRegion(row: Row): void {
    const region = {
      slug: key(row, 0, 'slug of a region'),
      name: name(row, 'region'),
      parent: row.isNull(2) ? null : key(row, 2, 'parent_slug of a region'),
      line: row.line,
    }
    const before = this.regions.get(region.slug)
    if (before && (before.name !== region.name || before.parent !== region.parent)) {
      throw duplicate(`region ${shown(region.slug)}`, before.line, row.line)
    }
    if (!before) add(this.regions, region.slug, region)
  }

  addPort(row: Row): void {
    const port = {
      code: key(row, 0, 'code of a port'),
      name: name(row, 'port'),
      region: key(row, 2, 'parent_slug of a port'),
      line: row.line,
    }
    const before = this.ports.get(port.code)
    if (before && (before.name !== port.name || before.region !== port.region)) {
      throw duplicate(`port ${shown(port.code)}`, before.line, row.line)
    }
    if (!before) add(this.ports, port.code, port)
  }

  /** @throws DumpRefused for a parent that is nowhere and for regions that are their own ancestors */
  check(known: KnownCatalogue): void {
    const exists = (slug: string): boolean => this.regions.has(slug) || known.regions.has(slug)
    for (const { slug, parent, line } of this.regions.values()) {
      if (parent !== null && !exists(parent)) {
        throw new DumpRefused(line, `region ${shown(slug)} lies in region ${shown(parent)}, which is not there`)
      }
    }
    for (const { code, region, line } of this.ports.values()) {
      if (!exists(region)) {
        throw new DumpRefused(line, `port ${shown(code)} lies in region ${shown(region)}, which is not there`)
      }
    }
    this.checkCycles(known)
  }

  private checkCycles(known: KnownCatalogue): void {
    const parentOf = (slug: string): string | null =>
      (this.regions.get(slug) ?? known.regions.get(slug))?.parent ?? null
    const reachesTop = new Set<string>()
    for (const { slug, line } of this.regions.values()) {
      const path = new Set<string>()
      let at: string | null = slug
      while (at !== null && !reachesTop.has(at) && !path.has(at)) {
        path.add(at)
        at = parentOf(at)
      }
      if (at !== null && path.has(at)) {
        const cycle = [...path].slice([...path].indexOf(at))
        throw new DumpRefused(
          this.regions.get(at)?.line ?? line,
          `regions that lie within each other: ${[...cycle, at].map(shown).join(' in ')}`,
        )
      }
      for (const passed of path) reachesTop.add(passed)
    }
  }
}

function key(row: Row, column: number, what: string): string {
  const text = row.text(column)
  if (text === null || text === '')
    throw new DumpRefused(row.line, `the ${what} is ${text === null ? 'NULL' : 'empty'}`)
  if (/[\u0000-\u001f\u007f]/.test(text))
    throw new DumpRefused(row.line, `a control character in the ${what}: ${shown(text)}`)
  return text
}

function name(row: Row, what: string): string {
  const text = row.text(1)
  if (text === null) throw new DumpRefused(row.line, `the name of a ${what} is NULL`)
  if (text.includes('\0')) throw new DumpRefused(row.line, `a zero byte in the name of a ${what}`)
  return text
}

function add<T>(map: Map<string, T>, at: string, value: T & { line: number }): void {
  if (map.size >= MAX_ENTRIES)
    throw new DumpRefused(value.line, `foreign dump: more than ${MAX_ENTRIES} regions or ports`)
  map.set(at, value)
}

function duplicate(what: string, before: number, line: number): DumpRefused {
  return new DumpRefused(line, `${what} is there twice with different content (first at line ${before})`)
}
