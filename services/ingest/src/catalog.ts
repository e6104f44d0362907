import { PortTable, type Port } from '@rates/core/port-table'
import type pg from 'pg'

/** The ports as of one version of the catalogue, for the parsers. No time-to-live: the version tells. */
export class Catalog {
  private version = -1n
  private table = new PortTable([])
  private readonly pool: pg.Pool

  constructor(pool: pg.Pool) {
    this.pool = pool
  }

  get ports(): PortTable {
    return this.table
  }

  /** Reads the ports again if the catalogue has changed since. @returns whether it had */
  async refresh(): Promise<boolean> {
    const { rows } = await this.pool.query<{ version: bigint }>('select version from catalog')
    if (rows[0]!.version === this.version) return false
    // One statement, one snapshot: ports and version belong together.
    const catalog = await this.pool.query<{ version: bigint; ports: Port[] }>(
      `select version, (select coalesce(json_agg(json_build_object('code', code, 'id', id)), '[]') from ports) as ports
       from catalog`,
    )
    const { version, ports } = catalog.rows[0]!
    this.version = version
    this.table = new PortTable(ports)
    return true
  }
}
