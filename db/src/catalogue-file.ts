import {
  fault,
  MAX_CATALOGUE_ROWS,
  MAX_KEY_LENGTH,
  MAX_NAME_LENGTH,
  textRule,
  type CatalogueEntry,
  type CatalogueFault,
  type CatalogueKind,
} from './catalogue-entry.ts'
import { csvRecords } from './csv-records.ts'

export const CATALOGUE_COLUMNS: Readonly<Record<CatalogueKind, readonly [string, string, string]>> = {
  ports: ['code', 'name', 'parent_slug'],
  regions: ['slug', 'name', 'parent_slug'],
}

/** What was given, checked as far as that goes without the database. */
export interface GivenEntries {
  /** By key: the good ones, each once. `line` is that of the file. */
  entries: ReadonlyMap<string, CatalogueEntry & { line: number | null }>
  faults: readonly CatalogueFault[]
  /** The bad ones, so that their parents are checked too, and who lies in them is not at fault; a bad parent is null. */
  spoilt: readonly (CatalogueEntry & { line: number | null })[]
  /** How the field of the parent is called, for messages. */
  parentField: string
}

/**
 * Reads a CSV file of ports or regions. Its first line names the columns, in any order: nothing else tells the two kinds
 * of files apart, and what was taken for a region by mistake could never be deleted.
 */
export function readCatalogueFile(kind: CatalogueKind, content: Uint8Array): GivenEntries {
  const columns = CATALOGUE_COLUMNS[kind]
  const entries = new Map<string, CatalogueEntry & { line: number }>()
  const faults: CatalogueFault[] = []
  const spoilt: (CatalogueEntry & { line: number })[] = []
  const given: GivenEntries = { entries, faults, spoilt, parentField: columns[2] }

  const text = decode(content)
  if (text === undefined) return { ...given, faults: [fault(null, null, '', 'utf8')] }
  const records = csvRecords(text)
  const header = records.next()
  const order = header.done ? undefined : orderOf(columns, header.value.fields)
  if (order === undefined) return { ...given, faults: [fault(1, null, header.value?.text ?? '', 'header')] }

  let rows = 0
  for (const { line, fields, text: row } of records) {
    if (++rows > MAX_CATALOGUE_ROWS) return { ...given, faults: [fault(line, null, '', 'too_many_rows')] }
    if (fields?.length !== columns.length) {
      faults.push(fault(line, null, row, fields === undefined ? 'quotes' : 'columns'))
      continue
    }
    const [key, name, parent] = order.map((place) => fields[place]!) as [string, string, string]
    const entry = { key, name, parent: parent === '' && kind === 'regions' ? null : parent }
    const found = entryFaults(entry, columns, line)
    const before = entries.get(key)
    if (found.length > 0) {
      faults.push(...found)
      spoilt.push({ ...spoiltEntry(entry, found, columns[2]), line })
    } else if (before === undefined) entries.set(key, { ...entry, line })
    else if (before.name !== name || before.parent !== entry.parent) {
      faults.push(fault(line, columns[0], key, 'duplicate'))
    }
  }
  if (rows === 0) faults.push(fault(null, null, '', 'no_rows'))
  return given
}

/** What is wrong with the texts of an entry; the fields' names are those of its key, name and parent. */
export function entryFaults(
  { key, name, parent }: CatalogueEntry,
  fields: readonly [string, string, string],
  line: number | null,
): CatalogueFault[] {
  const rules = [
    textRule(key, MAX_KEY_LENGTH),
    textRule(name, MAX_NAME_LENGTH),
    parent === null ? undefined : textRule(parent, MAX_KEY_LENGTH),
  ]
  const values = [key, name, parent ?? '']
  return rules.flatMap((rule, i) => (rule === undefined ? [] : [fault(line, fields[i]!, values[i]!, rule)]))
}

/** A bad entry as others see it. */
export const spoiltEntry = (
  entry: CatalogueEntry,
  faults: readonly CatalogueFault[],
  parentField: string,
): CatalogueEntry => (faults.some(({ field }) => field === parentField) ? { ...entry, parent: null } : entry)

/** Where each column stands, or undefined if they are not just these. */
function orderOf(columns: readonly string[], header: readonly string[] | undefined): number[] | undefined {
  if (header?.length !== columns.length) return undefined
  const order = columns.map((column) => header.indexOf(column))
  return order.includes(-1) ? undefined : order
}

function decode(content: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content)
  } catch {
    return undefined
  }
}
