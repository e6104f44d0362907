/** A table or a sentence of a section: the terminal and docs/benchmarks.md show the same. */
export interface Table {
  /** What it is told by in docs/benchmarks.md. */
  title: string
  head: readonly string[]
  rows: readonly (readonly string[])[]
  /** A sentence below it. */
  note?: string
}

/** Aligned columns, the first to the left, for a terminal. */
export function asText({ title, head, rows, note }: Table): string {
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => (row[i] ?? '').length)))
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')
  return [title, ...[head, ...rows].map((row) => `  ${line(row).trimEnd()}`), ...(note ? [`  ${note}`] : [])].join('\n')
}

/** The same for Markdown. A bar in a cell would end it. */
export function asMarkdown({ title, head, rows, note }: Table): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`
  const rule = `|${head.map((_, i) => (i === 0 ? '---' : '---:')).join('|')}|`
  return [
    ...(title === '' ? [] : [`**${title}**`, '']),
    line(head),
    rule,
    ...rows.map(line),
    ...(note ? ['', note] : []),
  ].join('\n')
}

/** What issue or contract asks for, and what a run reached. */
export interface Check {
  what: string
  asked: string
  reached: string
  ok: boolean
}

export function checkTable(checks: readonly Check[]): Table {
  return {
    title: 'Asked and reached',
    head: ['', 'asked', 'reached', ''],
    rows: checks.map(({ what, asked, reached, ok }) => [what, asked, reached, ok ? 'ok' : 'MISS']),
  }
}

export const atLeast = (what: string, value: number, limit: number, show: (value: number) => string): Check => ({
  what,
  asked: `at least ${show(limit)}`,
  reached: show(value),
  ok: value >= limit,
})

export const atMost = (what: string, value: number, limit: number, show: (value: number) => string): Check => ({
  what,
  asked: `at most ${show(limit)}`,
  reached: show(value),
  ok: value <= limit,
})
