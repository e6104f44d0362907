import { fault, type CatalogueFault, type CatalogueKind, type CatalogueRule } from '@rates/db/catalogue-entry'
import { entryFaults, spoiltEntry, type GivenEntries } from '@rates/db/catalogue-file'

/** How the fields of one entry are called over HTTP. */
const FIELDS: Readonly<Record<CatalogueKind, readonly [key: string, name: string, parent: string]>> = {
  ports: ['code', 'name', 'region'],
  regions: ['slug', 'name', 'parent'],
}

/** One port or region as JSON, without its key, which stands in the path. Every fault is told. */
export function readEntryBody(kind: CatalogueKind, key: string, body: Uint8Array): GivenEntries {
  const fields = FIELDS[kind]
  const [, nameField, parentField] = fields
  const content = parse(body)
  if (content === undefined) {
    return { entries: new Map(), faults: [fault(null, null, '', 'json')], spoilt: [], parentField }
  }
  const faults: CatalogueFault[] = []
  const text = (field: string): string | undefined => {
    const value = content[field]
    if (typeof value === 'string') return value
    const rule: CatalogueRule = value === undefined ? 'missing_field' : 'text_expected'
    faults.push(fault(null, field, value === undefined ? '' : JSON.stringify(value), rule))
    return undefined
  }
  const name = text(nameField)
  const parent = kind === 'regions' && content[parentField] === null ? null : text(parentField)
  for (const field of Object.keys(content)) {
    if (field !== nameField && field !== parentField) faults.push(fault(null, field, '', 'unknown_field'))
  }
  // What is missing was told: something stands in that breaks no rule.
  const entry = { key, name: name ?? '-', parent: parent === undefined ? '-' : parent }
  const all = [...entryFaults(entry, fields, null), ...faults]
  if (all.length === 0)
    return { entries: new Map([[key, { ...entry, line: null }]]), faults: [], spoilt: [], parentField }
  const spoilt = [{ ...spoiltEntry(entry, all, parentField), line: null }]
  return { entries: new Map(), faults: all, spoilt, parentField }
}

function parse(body: Uint8Array): Record<string, unknown> | undefined {
  try {
    const content: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
    const isObject = typeof content === 'object' && content !== null && !Array.isArray(content)
    return isObject ? (content as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
