import { DumpRefused } from './dump-refused.ts'
import { isTable, Target } from './dump-rows.ts'

const SEMICOLON = 0x3b
const OPEN = 0x28
const CLOSE = 0x29

/** More than any head of COPY or INSERT on these tables; what comes behind is not kept. */
const MAX_HEAD = 64

/** Statements that change no row of these tables, and that pg_dump or pg_dumpall writes. Everything else is refused. */
const IGNORED = new Set(
  (
    'set select create alter comment grant revoke drop begin start commit end lock analyze vacuum security reindex ' +
    'refresh reset cluster'
  ).split(' '),
)

interface Token {
  kind: 'word' | 'name' | 'literal' | 'mark'
  text: string
}

export type StatementEnd =
  | { kind: 'ignored' }
  | { kind: 'copy'; target: Target }
  | { kind: 'encoding'; name: string }
  | { kind: 'plain strings'; backslash: boolean }

/**
 * What a dump's statements mean: COPY and INSERT name a target, two settings matter, others are passed over.
 * Semicolons within parentheses and within the bodies of SQL functions (BEGIN ATOMIC ... END) end no statement.
 */
export class Statement {
  private head: Token[] = []
  private depth = 0
  private bodies = 0
  private lastWord = ''
  private schema: string | null = null
  /** Line where the statement begins; 0 between statements. */
  line = 0
  /** A table of the original schema was created or filled. */
  seesOurs = false

  word(text: string, line: number): Target | null {
    this.start(line)
    if (this.head.length === 0 && text !== 'copy' && text !== 'insert' && !IGNORED.has(text)) {
      throw new DumpRefused(line, `foreign dump: pg_dump writes no statement ${text.slice(0, 40).toUpperCase()}`)
    }
    this.follow(text)
    if (text === 'values' && this.head[0]?.text === 'insert') return this.insertTarget()
    this.keep('word', text)
    return null
  }

  name(text: string, line: number): void {
    this.start(line)
    this.keep('name', text)
  }

  literal(text: string, line: number): void {
    this.start(line)
    this.keep('literal', text)
  }

  /** @returns what the statement was, at its end */
  mark(code: number, line: number): StatementEnd | null {
    if (code === SEMICOLON && this.depth === 0 && this.bodies === 0) return this.end()
    this.start(line)
    if (code === OPEN) this.depth++
    else if (code === CLOSE && this.depth > 0) this.depth--
    this.keep('mark', String.fromCharCode(code))
    return null
  }

  /** Begins anew: the statement's rows were read by someone else. */
  reset(): void {
    this.head = []
    this.depth = this.bodies = this.line = 0
    this.lastWord = ''
  }

  private start(line: number): void {
    if (this.line === 0) this.line = line
  }

  private keep(kind: Token['kind'], text: string): void {
    if (this.head.length === 0 && kind !== 'word') {
      throw new DumpRefused(this.line, `foreign dump: ${JSON.stringify(text.slice(0, 40))} where a statement begins`)
    }
    if (this.head.length < MAX_HEAD) this.head.push({ kind, text })
  }

  private follow(word: string): void {
    if (this.head[0]?.text === 'create') {
      if (word === 'atomic' && this.lastWord === 'begin') this.bodies = 1
      else if (this.bodies > 0 && word === 'case') this.bodies++
      else if (this.bodies > 0 && word === 'end') this.bodies--
    }
    this.lastWord = word
  }

  private end(): StatementEnd {
    const { head } = this
    const words = head.map(({ text }) => text)
    let end: StatementEnd = { kind: 'ignored' }
    if (words[0] === 'copy') end = { kind: 'copy', target: this.copyTarget() }
    else if (words[0] === 'insert') throw new DumpRefused(this.line, 'damaged dump: INSERT without VALUES')
    else if (words[0] === 'set' && words[1] === 'client_encoding') end = { kind: 'encoding', name: words.at(-1)! }
    else if (words[0] === 'set' && words[1] === 'standard_conforming_strings') {
      end = { kind: 'plain strings', backslash: words.at(-1) === 'off' }
    } else if (words[0] === 'create' && words.includes('table')) {
      const { table } = this.tableAt(words.indexOf('table') + 1)
      if (isTable(table)) this.seesOurs = true
    }
    this.reset()
    return end
  }

  private copyTarget(): Target {
    const { schema, table, next } = this.tableAt(1)
    const list = this.columnsAt(next)
    const rest = this.head.slice(list.next).map(({ text }) => text)
    if (rest[0] !== 'from' || rest[1] !== 'stdin' || rest.length > 2) {
      throw new DumpRefused(this.line, 'foreign dump: COPY in another form than "COPY table (columns) FROM stdin;"')
    }
    return this.target(schema, table, list.columns)
  }

  private insertTarget(): Target {
    if (this.head[1]?.text !== 'into') throw new DumpRefused(this.line, 'damaged dump: INSERT without INTO')
    const { schema, table, next } = this.tableAt(2)
    const list = this.columnsAt(next)
    if (list.next < this.head.length) {
      const text = this.head[list.next]!.text.toUpperCase()
      throw new DumpRefused(this.line, `foreign dump: ${text} in INSERT into ${table}`)
    }
    return this.target(schema, table, list.columns)
  }

  private target(schema: string | null, table: string, columns: string[] | null): Target {
    const target = Target.of(table, columns, this.line)
    if (this.schema !== null && schema !== this.schema) {
      throw new DumpRefused(this.line, `foreign dump: tables of two schemas, ${this.schema} and ${schema ?? 'none'}`)
    }
    this.schema ??= schema
    this.seesOurs = true
    return target
  }

  /** `table` or `schema.table` at a place of the head. */
  private tableAt(at: number): { schema: string | null; table: string; next: number } {
    const first = this.head[at]
    const isName = (token: Token | undefined): token is Token => token?.kind === 'word' || token?.kind === 'name'
    if (!isName(first)) throw new DumpRefused(this.line, 'damaged dump: a statement that names no table')
    const second = this.head[at + 2]
    if (this.head[at + 1]?.text === '.' && isName(second))
      return { schema: first.text, table: second.text, next: at + 3 }
    return { schema: null, table: first.text, next: at + 1 }
  }

  private columnsAt(at: number): { columns: string[] | null; next: number } {
    if (this.head[at]?.text !== '(') return { columns: null, next: at }
    const close = this.head.findIndex(({ kind, text }, i) => i > at && kind === 'mark' && text === ')')
    if (close < 0) throw new DumpRefused(this.line, 'damaged dump: a list of columns without its end')
    const columns = this.head.slice(at + 1, close).filter(({ kind }) => kind !== 'mark')
    return { columns: columns.map(({ text }) => text), next: close + 1 }
  }
}
