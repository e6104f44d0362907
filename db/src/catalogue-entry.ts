export type CatalogueKind = 'ports' | 'regions'

/** A port (its parent is a region) or a region (without a parent it is a root). */
export interface CatalogueEntry {
  key: string
  name: string
  parent: string | null
}

/** Why an entry is refused; CATALOGUE_RULES has them in words. */
export type CatalogueRule =
  | 'utf8'
  | 'header'
  | 'no_rows'
  | 'too_many_rows'
  | 'columns'
  | 'quotes'
  | 'json'
  | 'missing_field'
  | 'unknown_field'
  | 'text_expected'
  | 'empty'
  | 'too_long'
  | 'characters'
  | 'spaces'
  | 'duplicate'
  | 'unknown_region'
  | 'cycle'
  | 'too_deep'

export interface CatalogueFault {
  /** Of the file, from 1; null where there is none, or the whole of it is at fault. */
  line: number | null
  field: string | null
  value: string
  rule: CatalogueRule
}

/** Longer keys would not fit into the address of a port; real ones have 5 characters, slugs about 20. */
export const MAX_KEY_LENGTH = 100
export const MAX_NAME_LENGTH = 200
/** Regions within regions. */
export const MAX_DEPTH = 100
/** Rows and bytes of a file, which is held in memory: more than there are ports. Longer lists go in parts. */
export const MAX_CATALOGUE_ROWS = 50_000
export const MAX_CATALOGUE_BYTES = 8 << 20

export const CATALOGUE_RULES: Readonly<Record<CatalogueRule, string>> = {
  utf8: 'the file is UTF-8',
  header: 'the first line names the columns: code,name,parent_slug for ports, slug,name,parent_slug for regions',
  no_rows: 'the file has rows',
  too_many_rows: `a file has at most ${MAX_CATALOGUE_ROWS} rows`,
  columns: 'a row has three columns',
  quotes: 'a quoted field has to end before a comma or the end of the row',
  json: 'the content is one JSON object',
  missing_field: 'the field has to be there',
  unknown_field: 'there is no such field',
  text_expected: 'the value is a JSON string',
  empty: 'the field is not empty',
  too_long: `codes and slugs have at most ${MAX_KEY_LENGTH} characters, names ${MAX_NAME_LENGTH}`,
  characters: 'control characters, and halves of characters, are not allowed',
  spaces: 'no spaces at the start or the end',
  duplicate: 'a code or a slug comes once, or again with the same content',
  unknown_region: 'no region has this slug',
  cycle: 'no region lies within itself',
  too_deep: `regions lie within each other at most ${MAX_DEPTH} deep`,
}

/** These are told by what the database has; the others by the content alone. */
export const isConflict = ({ rule }: CatalogueFault): boolean =>
  rule === 'unknown_region' || rule === 'cycle' || rule === 'too_deep'

/** One or many entries are refused; nothing was changed. */
export class CatalogueRefused extends Error {
  readonly faults: readonly CatalogueFault[]
  constructor(faults: readonly CatalogueFault[]) {
    super(`${faults.length} faults, such as ${faults[0]!.rule}`)
    this.name = 'CatalogueRefused'
    this.faults = faults
  }
}

const MAX_SHOWN = 100

export const fault = (
  line: number | null,
  field: string | null,
  value: string,
  rule: CatalogueRule,
): CatalogueFault => ({
  line,
  field,
  value: value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN - 1)}…` : value,
  rule,
})

/** The rules that a key, a name or a parent keeps by itself. @returns the first that it breaks */
export function textRule(text: string, maxLength: number): CatalogueRule | undefined {
  if (text === '') return 'empty'
  if (text.length > maxLength) return 'too_long'
  if (/\p{Cc}/u.test(text) || !text.isWellFormed()) return 'characters'
  if (text !== text.trim()) return 'spaces'
  return undefined
}
