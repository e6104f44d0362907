/** Why a file is not taken as a dump of the original schema; its message says where and what to do. */
export class DumpRefused extends Error {
  /** Line of the (decompressed) file, from 1; null where the fault is of the whole file. */
  readonly line: number | null
  readonly reason: string

  constructor(line: number | null, reason: string) {
    super(line === null ? reason : `line ${line}: ${reason}`)
    this.name = 'DumpRefused'
    this.line = line
    this.reason = reason
  }
}

/** A value as it stands in a message: quoted, on one line, shortened. */
export function shown(value: string | null): string {
  if (value === null) return 'NULL'
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 59)}…` : value)
}
