import { CopyBlock } from './copy-block.ts'
import { DumpRefused } from './dump-refused.ts'
import { type DumpSink, Row, SCHEMA_IN_WORDS, type Target } from './dump-rows.ts'
import { InsertRows } from './insert-rows.ts'
import { SqlScanner, type TokenSink } from './sql-scanner.ts'
import { Statement } from './statement.ts'

const LF = 0x0a
const CR = 0x0d
const BACKSLASH = 0x5c
const BEGIN_MARK = 'PostgreSQL database dump'
const END_MARK = 'PostgreSQL database dump complete'

/** psql's own commands that pg_dump and pg_dumpall write. */
const META = /^\\(restrict|unrestrict|connect|c)\b/

/** Plain enough to be known again by its bytes: no quotes, no comments. */
const INSERT_HEAD = /^INSERT INTO [\w.]+ (?:\([\w, ]+\) )?VALUES\b/

/**
 * Reads a plain pg_dump of the original schema, pushed in blocks of whole lines (dump-source.ts), in constant memory.
 *
 * It is in one of three places: between and within statements (scanner and Statement), behind an INSERT's VALUES
 * (scanner and InsertRows), or in the data of a COPY (CopyBlock, which no scanner sees).
 */
export class DumpReader {
  private readonly row = new Row()
  private readonly sink: DumpSink
  private readonly scanner = new SqlScanner()
  private readonly statement = new Statement()
  private readonly rows: InsertRows
  private copy: CopyBlock | null = null
  private copyTarget: Target | null = null
  private insideValues = false
  /** Target of the first INSERT whose VALUES stands on this line. */
  private insertBegan: Target | null = null
  private line = 0
  private began = false
  private complete = false
  /** The last INSERT up to VALUES and its target: the next million mostly begin with the same bytes. */
  private lastHead: { bytes: Buffer; target: Target } | null = null

  constructor(sink: DumpSink) {
    this.sink = sink
    this.rows = new InsertRows(this.row, sink)
    this.scanner.onComment = (text) => {
      if (text === END_MARK) this.complete = true
      else if (text === BEGIN_MARK) {
        this.began = true
        this.complete = false
      }
    }
  }

  /** @throws DumpRefused for what is no dump of the original schema */
  push(block: Buffer): void {
    let at = 0
    if (this.line === 0) at = this.lookAtStart(block)
    while (at < block.length) {
      if (this.copy !== null) {
        const { next, lines, ended } = this.copy.read(block, at, this.line + 1)
        this.line += lines
        at = next
        if (ended) this.copy = null
        continue
      }
      const lineEnd = block.indexOf(LF, at)
      const next = lineEnd < 0 ? block.length : lineEnd + 1
      this.line++
      this.readLine(block, at, next)
      at = next
    }
  }

  /** @throws DumpRefused if the file stops early or is no dump of the original schema */
  end(): void {
    if (this.copy !== null) throw this.copy.cutOff(this.line)
    this.scanner.finish()
    const open = this.insideValues || this.statement.line > 0
    if (open) throw new DumpRefused(this.line, 'damaged dump: the file ends within a statement')
    if (!this.statement.seesOurs) {
      throw new DumpRefused(null, `foreign dump: it has none of the tables ${SCHEMA_IN_WORDS}`)
    }
    if (this.began && !this.complete) {
      throw new DumpRefused(this.line, `damaged dump: the file was cut off (no "-- ${END_MARK}" at its end)`)
    }
  }

  private lookAtStart(block: Buffer): number {
    const first = block.subarray(0, Math.min(block.length, 64 * 1024))
    if (first.includes(0)) throw new DumpRefused(1, 'foreign dump: a binary file, not the text of a plain pg_dump')
    const lineEnd = block.indexOf(LF)
    this.scanner.crlf = lineEnd > 0 && block[lineEnd - 1] === CR
    return block[0] === 0xef && block[1] === 0xbb && block[2] === 0xbf ? 3 : 0
  }

  private readLine(block: Buffer, start: number, end: number): void {
    const between = this.statement.line === 0 && !this.insideValues && this.scanner.idle
    let from = start
    if (between) {
      if (block[start] === BACKSLASH) return this.metaCommand(block.toString('utf8', start, end).trim())
      const head = this.lastHead
      if (head !== null && block.subarray(start, start + head.bytes.length).equals(head.bytes)) {
        this.insideValues = true
        this.rows.begin(head.target)
        from = start + head.bytes.length
      }
    }
    this.scanner.feed(block, from, end, this.line, this.tokens)
    if (this.copyTarget !== null) {
      this.copy = new CopyBlock(this.copyTarget, this.row, this.sink, this.line)
      this.copyTarget = null
    } else if (between && from === start && this.insertBegan !== null) {
      this.rememberHead(block, start, end, this.insertBegan)
    }
    this.insertBegan = null
  }

  private rememberHead(block: Buffer, start: number, end: number, target: Target): void {
    const head = INSERT_HEAD.exec(block.toString('latin1', start, Math.min(end, start + 4096)))
    if (head) this.lastHead = { bytes: Buffer.from(head[0], 'latin1'), target }
  }

  private metaCommand(text: string): void {
    if (META.test(text)) return
    const found = text === '\\.' ? '"\\." outside of the data of a COPY' : `psql's command ${text.slice(0, 40)}`
    throw new DumpRefused(this.line, `damaged or foreign dump: ${found}`)
  }

  private readonly tokens: TokenSink = {
    word: (text) => {
      if (this.insideValues) return this.rows.word(text, this.line)
      const target = this.statement.word(text, this.line)
      if (target === null) return
      this.rows.begin(target)
      this.insideValues = true
      this.insertBegan ??= target
    },
    name: (text) => {
      if (this.insideValues) this.rows.word(`"${text}"`, this.line)
      else this.statement.name(text, this.line)
    },
    literal: (bytes, start, end) => {
      if (this.insideValues) this.rows.literal(bytes, start, end, this.line)
      else this.statement.literal(bytes.toString('utf8', start, end), this.line)
    },
    number: (bytes, start, end) => {
      if (this.insideValues) this.rows.number(bytes, start, end, this.line)
      else this.statement.literal(bytes.toString('utf8', start, end), this.line)
    },
    mark: (code) => {
      if (this.insideValues) {
        if (!this.rows.mark(code, this.line)) return
        this.insideValues = false
        this.statement.reset()
      } else this.statementEnd(code)
    },
  }

  private statementEnd(code: number): void {
    const end = this.statement.mark(code, this.line)
    if (end?.kind === 'copy') this.copyTarget = end.target
    else if (end?.kind === 'plain strings') this.scanner.backslashInPlainStrings = end.backslash
    else if (end?.kind === 'encoding' && !/^(utf-?8|unicode|sql_ascii)$/i.test(end.name)) {
      throw new DumpRefused(this.line, `this dump is in the encoding ${end.name}; dump with pg_dump --encoding=UTF8`)
    }
  }
}
