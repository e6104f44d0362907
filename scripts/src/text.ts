import { count } from './progress.ts'

export interface Column {
  title: string
  right?: boolean
}

/** Lines of a table whose columns are as wide as their widest cell; the title line is left out if no column has one. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const titles = columns.map(({ title }) => title)
  const lines = titles.some((title) => title !== '') ? [titles, ...rows] : rows
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i]!.length), 0))
  return lines.map((line) =>
    line
      .map((cell, i) => (columns[i]!.right ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd(),
  )
}

export const indent = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`)

/** Of others' text: control and invisible characters would spoil the terminal, or fool whoever reads it. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

const escape = (character: string): string => `\\u{${character.codePointAt(0)!.toString(16)}}`

/** Others' text on one line, at most `length` characters of it; quoted where its ends would not be seen. */
export function printable(text: string, length = 40): string {
  const safe = text.replaceAll(UNSAFE, escape)
  const short = safe.length > length ? `${safe.slice(0, length - 1)}…` : safe
  return short === '' || short !== short.trim() ? `"${short}"` : short
}

/** `1 row`, `2 rows`, `1 000 rows`. */
export const plural = (n: number, noun: string, many = `${noun}s`): string => `${count(n)} ${n === 1 ? noun : many}`

/** `2026-01-31 08:00:00 UTC` of a time of RFC 3339. */
export const utc = (time: string): string => `${new Date(time).toISOString().slice(0, 19).replace('T', ' ')} UTC`

/** A shell takes it as one word, whatever it holds. */
export const shellWord = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
