import { DumpRefused } from './dump-refused.ts'

const LF = 0x0a
const CR = 0x0d
const QUOTE = 0x27
const DOUBLE_QUOTE = 0x22
const BACKSLASH = 0x5c
const DOLLAR = 0x24
const DASH = 0x2d
const SLASH = 0x2f
const STAR = 0x2a

/** What the scanner tells of a statement's parts. Bytes of a literal are valid until the call returns. */
export interface TokenSink {
  word(text: string): void
  /** An identifier in double quotes. */
  name(text: string): void
  literal(bytes: Buffer, start: number, end: number): void
  number(bytes: Buffer, start: number, end: number): void
  /** Any other character; `;` too. */
  mark(code: number): void
}

type Inside = 'nothing' | 'string' | 'escaped string' | 'name' | 'comment' | 'dollar quote'

const isLetter = (c: number): boolean => (c >= 0x61 && c <= 0x7a) || (c >= 0x41 && c <= 0x5a) || c === 0x5f || c >= 0x80
const isDigit = (c: number): boolean => c >= 0x30 && c <= 0x39
const isSpace = (c: number): boolean => c === 0x20 || (c >= 0x09 && c <= 0x0d)

/**
 * Cuts SQL into tokens as PostgreSQL does, as far as a dump needs: strings with doubled quotes, E'' with backslashes,
 * quoted identifiers, dollar quotes, `--` and nested block comments. It is fed a line at a time and keeps what spans
 * lines between calls.
 */
export class SqlScanner {
  private inside: Inside = 'nothing'
  private text: Buffer = Buffer.alloc(1024)
  private length = 0
  private depth = 0
  private dollarTag = ''
  private openedAt = 0

  /** `SET standard_conforming_strings = off`: plain strings have backslash escapes too. */
  backslashInPlainStrings = false
  /** The file's lines end in CRLF, so a line end within a string was LF. */
  crlf = false
  /** Called with each `--` comment: pg_dump's first and last lines are such. */
  onComment: (text: string) => void = () => undefined

  /** Nothing spans into the next line: no string, name, comment or dollar quote is open. */
  get idle(): boolean {
    return this.inside === 'nothing'
  }

  /** @throws DumpRefused if something is open at the file's end */
  finish(): void {
    if (this.inside !== 'nothing') throw new DumpRefused(this.openedAt, `a ${this.inside} that begins here never ends`)
  }

  /** Reads bytes[start, end), which is a line with its line end. */
  feed(bytes: Buffer, start: number, end: number, line: number, sink: TokenSink): void {
    let i = start
    while (i < end) {
      if (this.inside !== 'nothing') {
        i = this.continue(bytes, i, end, sink)
        continue
      }
      const c = bytes[i]!
      if (isSpace(c)) i++
      else if (c === QUOTE) i = this.open(this.backslashInPlainStrings ? 'escaped string' : 'string', i + 1, line)
      else if (isLetter(c)) {
        const from = i
        while (i < end && (isLetter(bytes[i]!) || isDigit(bytes[i]!) || bytes[i] === DOLLAR)) i++
        const escapes = i - from === 1 && (c | 0x20) === 0x65 && bytes[i] === QUOTE // E'...'
        if (escapes) i = this.open('escaped string', i + 1, line)
        else sink.word(bytes.toString('utf8', from, i).toLowerCase())
      } else if (isDigit(c)) {
        const from = i
        while (i < end && (isDigit(bytes[i]!) || isLetter(bytes[i]!) || bytes[i] === 0x2e)) i++
        sink.number(bytes, from, i)
      } else if (c === DASH && bytes[i + 1] === DASH) {
        this.onComment(bytes.toString('utf8', i + 2, end).trim())
        return
      } else if (c === SLASH && bytes[i + 1] === STAR) {
        this.depth = 1
        i = this.open('comment', i + 2, line)
      } else if (c === DOUBLE_QUOTE) i = this.open('name', i + 1, line)
      else {
        const tag =
          c === DOLLAR ? /^\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$/.exec(bytes.toString('latin1', i, end)) : null
        if (tag) {
          this.dollarTag = tag[0]
          i = this.open('dollar quote', i + tag[0].length, line)
        } else {
          sink.mark(c)
          i++
        }
      }
    }
  }

  private open(inside: Inside, next: number, line: number): number {
    this.inside = inside
    this.openedAt = line
    this.length = 0
    return next
  }

  /** Goes on within what is open; returns where it stopped. */
  private continue(bytes: Buffer, start: number, end: number, sink: TokenSink): number {
    switch (this.inside) {
      case 'string':
      case 'escaped string':
        return this.string(bytes, start, end, sink)
      case 'name':
        return this.name(bytes, start, end, sink)
      case 'comment':
        return this.comment(bytes, start, end)
      case 'dollar quote': {
        const at = bytes.indexOf(this.dollarTag, start, 'latin1')
        if (at < 0 || at >= end) return end
        this.inside = 'nothing'
        sink.literal(this.text, 0, 0) // a body: nothing in a dump's data needs it
        return at + this.dollarTag.length
      }
      case 'nothing':
        return start
    }
  }

  private string(bytes: Buffer, start: number, end: number, sink: TokenSink): number {
    const escapes = this.inside === 'escaped string'
    for (let i = start; i < end; i++) {
      const c = bytes[i]!
      if (c === QUOTE) {
        if (bytes[i + 1] === QUOTE && i + 1 < end) {
          this.put(QUOTE)
          i++
          continue
        }
        this.inside = 'nothing'
        sink.literal(this.text, 0, this.length)
        return i + 1
      }
      if (c === BACKSLASH && escapes) {
        const escape = unescape(bytes, i + 1, end)
        if (escape.code > 0) this.put(escape.code)
        else throw new DumpRefused(this.openedAt, 'a string with an escape that pg_dump does not write')
        i = escape.next - 1
      } else if (!(c === CR && this.crlf && bytes[i + 1] === LF)) this.put(c)
    }
    return end
  }

  private name(bytes: Buffer, start: number, end: number, sink: TokenSink): number {
    for (let i = start; i < end; i++) {
      const c = bytes[i]!
      if (c !== DOUBLE_QUOTE) this.put(c)
      else if (bytes[i + 1] === DOUBLE_QUOTE && i + 1 < end) this.put(bytes[i++]!)
      else {
        this.inside = 'nothing'
        sink.name(this.text.toString('utf8', 0, this.length))
        return i + 1
      }
    }
    return end
  }

  private comment(bytes: Buffer, start: number, end: number): number {
    for (let i = start; i + 1 < end; i++) {
      if (bytes[i] === SLASH && bytes[i + 1] === STAR) {
        this.depth++
        i++
      } else if (bytes[i] === STAR && bytes[i + 1] === SLASH) {
        i++
        if (--this.depth === 0) {
          this.inside = 'nothing'
          return i + 1
        }
      }
    }
    return end
  }

  private put(byte: number): void {
    if (this.length === this.text.length) {
      if (this.length >= 1 << 24)
        throw new DumpRefused(this.openedAt, `a ${this.inside} of more than 16 MB: foreign dump`)
      this.text = Buffer.concat([this.text, Buffer.alloc(this.length)])
    }
    this.text[this.length++] = byte
  }
}

/**
 * The byte that a backslash escape of COPY text or of E'' stands for; `from` is behind the backslash.
 * @returns code -1 where the escape is cut off or names a zero byte
 */
export function unescape(bytes: Buffer, from: number, end: number): { code: number; next: number } {
  if (from >= end) return { code: -1, next: end }
  const c = bytes[from]!
  const simple = SIMPLE.get(c)
  if (simple !== undefined) return { code: simple, next: from + 1 }
  let next = from
  let code = 0
  if (c >= 0x30 && c <= 0x37) {
    while (next < end && next < from + 3 && bytes[next]! >= 0x30 && bytes[next]! <= 0x37) {
      code = code * 8 + bytes[next++]! - 0x30
    }
  } else if (c === 0x78) {
    const hex = /^[0-9a-fA-F]{1,2}/.exec(bytes.toString('latin1', from + 1, Math.min(end, from + 3)))
    if (!hex) return { code: c, next: from + 1 }
    code = parseInt(hex[0], 16)
    next = from + 1 + hex[0].length
  } else return { code: c, next: from + 1 }
  return { code: code & 0xff || -1, next }
}

const SIMPLE = new Map([
  [0x62, 0x08], // b
  [0x66, 0x0c], // f
  [0x6e, LF],
  [0x72, CR],
  [0x74, 0x09], // t
  [0x76, 0x0b], // v
])
