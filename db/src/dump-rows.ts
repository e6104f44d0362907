import { DumpRefused, shown } from './dump-refused.ts'

/** The original schema: its tables with their columns, in the order of `create table`. */
export const TABLES = {
  regions: ['slug', 'name', 'parent_slug'],
  ports: ['code', 'name', 'parent_slug'],
  prices: ['orig_code', 'dest_code', 'day', 'price'],
} as const

export type TableName = keyof typeof TABLES

const MAX_COLUMNS = 4

/**
 * The values of one row as ranges of a buffer, in the order of TABLES whatever the order in the file. One object is
 * used for all rows: a million prices are read without an object or a string each.
 */
export class Row {
  bytes: Buffer = Buffer.alloc(0)
  readonly starts = new Int32Array(MAX_COLUMNS)
  readonly ends = new Int32Array(MAX_COLUMNS)
  line = 0

  isNull(column: number): boolean {
    return this.starts[column]! < 0
  }

  text(column: number): string | null {
    if (this.isNull(column)) return null
    const bytes = this.bytes.subarray(this.starts[column], this.ends[column])
    try {
      return utf8.decode(bytes)
    } catch {
      throw new DumpRefused(this.line, `text that is not UTF-8: ${shown(bytes.toString('latin1'))}`)
    }
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Takes what a dump holds, row by row. The row is valid until the call returns. */
export interface DumpSink {
  region(row: Row): void
  port(row: Row): void
  price(row: Row): void
}

/** Where the values of a COPY block or an INSERT belong. */
export class Target {
  readonly table: TableName
  /** For each column of the file its place in TABLES. */
  readonly places: number[]

  private constructor(table: TableName, places: number[]) {
    this.table = table
    this.places = places
  }

  /**
   * @param columns as the file lists them; null where it lists none
   * @throws DumpRefused if it is no table of the original schema, or not with its columns
   */
  static of(table: string, columns: string[] | null, line: number): Target {
    if (!isTable(table)) {
      const known = Object.keys(TABLES).join(', ')
      throw new DumpRefused(line, `foreign dump: it holds data of table ${shown(table)}; only ${known} are known here`)
    }
    const known: readonly string[] = TABLES[table]
    const places = (columns ?? known).map((column) => known.indexOf(column))
    const sameColumns = places.length === known.length && known.every((_, place) => places.includes(place))
    if (!sameColumns) {
      const there = columns?.join(', ')
      throw new DumpRefused(line, `foreign dump: ${table} has the columns (${there}) and not (${known.join(', ')})`)
    }
    return new Target(table, places)
  }

  deliver(row: Row, sink: DumpSink): void {
    if (this.table === 'prices') sink.price(row)
    else if (this.table === 'ports') sink.port(row)
    else sink.region(row)
  }
}

export const isTable = (name: string): name is TableName => Object.hasOwn(TABLES, name)

/** What the messages and the help call the original schema. */
export const SCHEMA_IN_WORDS = Object.entries(TABLES)
  .map(([table, columns]) => `${table}(${columns.join(', ')})`)
  .join(', ')
