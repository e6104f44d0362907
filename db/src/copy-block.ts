import { DumpRefused, shown } from './dump-refused.ts'
import { type DumpSink, type Row, type Target } from './dump-rows.ts'
import { unescape } from './sql-scanner.ts'

const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const BACKSLASH = 0x5c
const DOT = 0x2e
const CAPITAL_N = 0x4e

/** The data of a COPY block: the lines from behind `COPY ... FROM stdin;` to `\.`, in COPY's text format. */
export class CopyBlock {
  private readonly target: Target
  private readonly row: Row
  private readonly sink: DumpSink
  private unescaped: Buffer = Buffer.alloc(1024)
  private readonly beganAt: number

  constructor(target: Target, row: Row, sink: DumpSink, line: number) {
    this.target = target
    this.row = row
    this.sink = sink
    this.beganAt = line
  }

  /**
   * Reads whole lines from `start` on; stops behind the line `\.` or at the block's end.
   * @returns where it stopped, how many lines it read and whether the COPY block is at its end
   */
  read(bytes: Buffer, start: number, firstLine: number): { next: number; lines: number; ended: boolean } {
    const { row, target, sink } = this
    const { places } = target
    const columns = places.length
    let at = start
    let line = firstLine
    while (at < bytes.length) {
      if (bytes[at] === BACKSLASH && bytes[at + 1] === DOT && isLineEnd(bytes, at + 2)) {
        const end = bytes.indexOf(LF, at)
        return { next: end < 0 ? bytes.length : end + 1, lines: line - firstLine + 1, ended: true }
      }
      row.bytes = bytes
      row.line = line
      let column = 0
      let from = at
      let escaped = false
      let i = at
      for (; i < bytes.length; i++) {
        const c = bytes[i]!
        if (c === BACKSLASH) {
          escaped = true
          i++
        } else if (c === TAB) {
          if (column < columns - 1) {
            row.starts[places[column]!] = from
            row.ends[places[column]!] = i
          }
          column++
          from = i + 1
        } else if (c === LF) break
      }
      // A line without its end, or one that ends in a backslash: the file stops in the middle of a row.
      if (i >= bytes.length) throw this.cutOff(line)
      const end = i > from && bytes[i - 1] === CR ? i - 1 : i
      if (column !== columns - 1) throw this.wrongColumns(bytes, at, end, column + 1)
      row.starts[places[column]!] = from
      row.ends[places[column]!] = end
      if (escaped) this.unescapeRow()
      target.deliver(row, sink)
      at = i + 1
      line++
    }
    return { next: at, lines: line - firstLine, ended: false }
  }

  /** The refusal for a file that ends before the block does. */
  cutOff(line: number): DumpRefused {
    return new DumpRefused(
      line,
      `damaged dump: the file ends within the data of ${this.target.table} that begin at line ${this.beganAt} (no line "\\.")`,
    )
  }

  private wrongColumns(bytes: Buffer, start: number, end: number, found: number): DumpRefused {
    const text = shown(bytes.toString('utf8', start, end))
    const { table, places } = this.target
    return new DumpRefused(this.row.line, `damaged dump: ${found} columns where ${table} has ${places.length}: ${text}`)
  }

  /** Replaces the row's values by their unescaped bytes. */
  private unescapeRow(): void {
    const { row } = this
    const bytes = row.bytes
    let length = 0
    for (let column = 0; column < this.target.places.length; column++) {
      const start = row.starts[column]!
      const end = row.ends[column]!
      if (end - start === 2 && bytes[start] === BACKSLASH && bytes[start + 1] === CAPITAL_N) {
        row.starts[column] = row.ends[column] = -1
        continue
      }
      if (this.unescaped.length < length + end - start) {
        this.unescaped = Buffer.concat([this.unescaped], (length + end - start) * 2)
      }
      row.starts[column] = length
      for (let i = start; i < end;) {
        if (bytes[i] !== BACKSLASH) this.unescaped[length++] = bytes[i++]!
        else {
          const { code, next } = unescape(bytes, i + 1, end)
          if (code < 0) throw new DumpRefused(row.line, 'damaged dump: an escape that COPY does not write')
          this.unescaped[length++] = code
          i = next
        }
      }
      row.ends[column] = length
    }
    row.bytes = this.unescaped
  }
}

function isLineEnd(bytes: Buffer, at: number): boolean {
  return (
    at >= bytes.length || bytes[at] === LF || (bytes[at] === CR && (at + 1 >= bytes.length || bytes[at + 1] === LF))
  )
}
