import { DumpRefused } from './dump-refused.ts'
import { type DumpSink, type Row, type Target } from './dump-rows.ts'

const OPEN = 0x28
const CLOSE = 0x29
const COMMA = 0x2c
const SEMICOLON = 0x3b
const MINUS = 0x2d

type Expecting = 'row' | 'value' | 'more values' | 'more rows' | 'do nothing'

/** The rows behind VALUES, fed with tokens; they may be any number and are passed on one by one. */
export class InsertRows {
  private expecting: Expecting = 'row'
  private column = 0
  private length = 0
  private negative = false
  private values: Buffer = Buffer.alloc(4096)
  private target: Target | null = null
  private readonly row: Row
  private readonly sink: DumpSink

  constructor(row: Row, sink: DumpSink) {
    this.row = row
    this.sink = sink
  }

  /** A statement's VALUES was read. */
  begin(target: Target): void {
    this.target = target
    this.expecting = 'row'
  }

  literal(bytes: Buffer, start: number, end: number, line: number): void {
    if (this.negative) throw this.unexpected('-', line)
    this.value(line)
    this.append(bytes, start, end)
  }

  number(bytes: Buffer, start: number, end: number, line: number): void {
    this.value(line)
    this.append(bytes, start, end)
  }

  word(text: string, line: number): void {
    if (this.expecting === 'value' && text === 'null' && !this.negative) {
      const place = this.place(line)
      this.row.starts[place] = this.row.ends[place] = -1
      this.expecting = 'more values'
    } else if (this.expecting === 'more rows' && text === 'on') this.expecting = 'do nothing'
    else if (this.expecting !== 'do nothing' || !['conflict', 'do', 'nothing'].includes(text))
      throw this.unexpected(text, line)
  }

  /** @returns true at the statement's end */
  mark(code: number, line: number): boolean {
    if (this.expecting === 'row' && code === OPEN) {
      this.row.line = line
      this.column = this.length = 0
      this.expecting = 'value'
    } else if (this.expecting === 'value' && code === MINUS && !this.negative) this.negative = true
    else if (this.expecting === 'more values' && code === COMMA) {
      this.column++
      this.expecting = 'value'
    } else if (this.expecting === 'more values' && code === CLOSE) this.endRow()
    else if (this.expecting === 'more rows' && code === COMMA) this.expecting = 'row'
    else if ((this.expecting === 'more rows' || this.expecting === 'do nothing') && code === SEMICOLON) return true
    else throw this.unexpected(String.fromCharCode(code), line)
    return false
  }

  private value(line: number): void {
    if (this.expecting !== 'value') throw this.unexpected('a value', line)
    this.expecting = 'more values'
  }

  private place(line: number): number {
    const place = this.target!.places[this.column]
    if (place === undefined) throw this.wrongColumns(line)
    return place
  }

  private append(bytes: Buffer, start: number, end: number): void {
    const place = this.place(this.row.line)
    const needed = this.length + end - start + 1
    if (needed > this.values.length) this.values = Buffer.concat([this.values], needed * 2)
    this.row.starts[place] = this.length
    if (this.negative) this.values[this.length++] = MINUS
    this.negative = false
    for (let i = start; i < end; i++) this.values[this.length++] = bytes[i]!
    this.row.ends[place] = this.length
  }

  private endRow(): void {
    if (this.column + 1 !== this.target!.places.length) throw this.wrongColumns(this.row.line)
    this.row.bytes = this.values
    this.target!.deliver(this.row, this.sink)
    this.expecting = 'more rows'
  }

  private wrongColumns(line: number): DumpRefused {
    const { table, places } = this.target!
    return new DumpRefused(line, `damaged dump: ${this.column + 1} columns where ${table} has ${places.length}`)
  }

  private unexpected(what: string, line: number): DumpRefused {
    return new DumpRefused(line, `damaged dump: ${JSON.stringify(what)} where INSERT has ${this.expectation()}`)
  }

  private expectation(): string {
    return {
      row: 'a row in parentheses',
      value: 'a value (a string, a number or NULL)',
      'more values': '"," or ")"',
      'more rows': '"," or ";"',
      'do nothing': 'ON CONFLICT DO NOTHING',
    }[this.expecting]
  }
}
