import { PortTable } from '@rates/core/port-table'
import { type Pool } from 'pg'

export interface Port {
  readonly code: string
  readonly name: string
  readonly region: string
}

export interface Region {
  readonly slug: string
  readonly name: string
  readonly parent: string | null
}

interface Stored {
  version: string
  ports: (Port & { id: number })[]
  regions: Region[]
}

/** Ports and regions as they were at one version. */
export class CatalogCopy {
  readonly version: string
  readonly ports: readonly Port[]
  readonly regions: readonly Region[]
  readonly #portIds = new Map<string, readonly [number]>()
  readonly #regionPortIds = new Map<string, readonly number[]>()
  #table: PortTable | undefined

  constructor({ version, ports, regions }: Stored) {
    this.version = version
    this.ports = ports.map(({ code, name, region }) => ({ code, name, region }))
    this.regions = regions
    for (const { code, id } of ports) this.#portIds.set(code, [id])
    const ids = Map.groupBy(ports, ({ region }) => region)
    const children = Map.groupBy(regions, ({ parent }) => parent)
    for (const { slug } of regions) {
      // The database refuses cycles; a set visits each region once all the same.
      const below = new Set([slug])
      for (const each of below) for (const child of children.get(each) ?? []) below.add(child.slug)
      this.#regionPortIds.set(
        slug,
        [...below].flatMap((each) => (ids.get(each) ?? []).map(({ id }) => id)),
      )
    }
  }

  /** For the parsers of uploads. */
  portTable(): PortTable {
    this.#table ??= new PortTable([...this.#portIds].map(([code, [id]]) => ({ code, id })))
    return this.#table
  }

  /** A place is a port first, else a region and all in its sub-regions; an unknown one has no ports. */
  portIds(place: string): readonly number[] {
    return this.#portIds.get(place) ?? this.#regionPortIds.get(place) ?? []
  }
}

const LOAD = `
select c.version::text as version,
  (select coalesce(json_agg(json_build_object('code', p.code, 'name', p.name, 'region', p.parent_slug, 'id', p.id)
     order by p.code collate "C"), '[]') from ports p) as ports,
  (select coalesce(json_agg(json_build_object('slug', r.slug, 'name', r.name, 'parent', r.parent_slug)
     order by r.slug collate "C"), '[]') from regions r) as regions
from catalog c`

/** How often a read may find that the catalogue has changed again: each time needs another change in between. */
const MAX_TRIES = 20

/**
 * A copy of ports and regions in memory. It has no time-to-live: every statement that reads by it returns the version it
 * met, and is repeated with a new copy if that differs.
 */
export class Catalog {
  readonly #pool: Pool
  #copy: CatalogCopy | undefined
  #loading: Promise<CatalogCopy> | undefined

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /** Calls `read` with a copy, again and again until the version that it returns is the copy's. */
  async readWith<T>(read: (copy: CatalogCopy) => Promise<{ version: string; answer: () => T }>): Promise<T> {
    let copy = this.#copy ?? (await this.#load())
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { version, answer } = await read(copy)
      if (version === copy.version) return answer()
      // Another read may have loaded it meanwhile.
      copy = this.#copy?.version === version ? this.#copy : await this.#load()
    }
    throw new Error('the catalogue does not stop changing')
  }

  /** The catalogue as it is now. */
  current(): Promise<CatalogCopy> {
    return this.readWith(async (copy) => {
      const result = await this.#pool.query<{ version: string }>({
        name: 'catalog-version',
        text: 'select version::text as version from catalog',
      })
      return { version: result.rows[0]!.version, answer: () => copy }
    })
  }

  /** One load at a time, whoever asks. */
  #load(): Promise<CatalogCopy> {
    this.#loading ??= (async () => {
      try {
        const result = await this.#pool.query<Stored>({ name: 'catalog-load', text: LOAD })
        this.#copy = new CatalogCopy(result.rows[0]!)
        return this.#copy
      } finally {
        this.#loading = undefined
      }
    })()
    return this.#loading
  }
}
