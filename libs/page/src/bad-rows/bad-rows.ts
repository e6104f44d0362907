import { type BadRow } from '@rates/core/bad-rows'
import { FIELDS, type Rule } from '@rates/core/rejection'

/** As GET /batches/:id/errors answers. */
export interface BadRows {
  rejected: number
  errors: readonly BadRow[]
}

/** How many break which rule, the most first. */
export function countRules(rows: readonly BadRow[]): [rule: Rule, count: number][] {
  const counts = new Map<Rule, number>()
  for (const { rule } of rows) counts.set(rule, (counts.get(rule) ?? 0) + 1)
  return [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
}

/** Those of the rules, or of any if there are none, in which the text occurs. */
export function filterRows(rows: readonly BadRow[], rules: ReadonlySet<string>, text: string): BadRow[] {
  const asked = text.trim().toLowerCase()
  return rows.filter(
    ({ row, field, value, rule, text: line }) =>
      (rules.size === 0 || rules.has(rule)) &&
      (asked === '' ||
        [String(row), field ?? '', value, rule, line].some((each) => each.toLowerCase().includes(asked))),
  )
}

/** The row cut around its bad field; undefined where it cannot be told for sure which part of it that is. */
export function cutField({ field, value, text }: BadRow): [before: string, bad: string, after: string] | undefined {
  if (field === null || value === '') return undefined
  const at = placeInColumns(field, value, text) ?? placeInJson(field, value, text) ?? onlyPlace(value, text)
  return at === undefined ? undefined : [text.slice(0, at), value, text.slice(at + value.length)]
}

/** In a line of four columns without quotes. */
function placeInColumns(field: string, value: string, text: string): number | undefined {
  const columns = text.split(',')
  const index = (FIELDS as readonly string[]).indexOf(field)
  if (text.includes('"') || columns.length !== FIELDS.length || index === -1) return undefined
  const column = columns[index]!
  const within = column.indexOf(value)
  return within === -1 ? undefined : columns.slice(0, index).join(',').length + (index === 0 ? 0 : 1) + within
}

/** After its name; field names are words of the service. */
function placeInJson(field: string, value: string, text: string): number | undefined {
  const name = new RegExp(`"${field}"\\s*:\\s*"?`).exec(text)
  const at = name === null ? -1 : name.index + name[0].length
  return at !== -1 && text.startsWith(value, at) ? at : undefined
}

function onlyPlace(value: string, text: string): number | undefined {
  const at = text.indexOf(value)
  return at === -1 || text.includes(value, at + 1) ? undefined : at
}
