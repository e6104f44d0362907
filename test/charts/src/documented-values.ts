import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { chartFolder, type ChartName } from './value-sets.ts'

export interface DocumentedValue {
  path: string
  text: string
  default: unknown
}

type Values = Record<string, unknown>

export function readValues(chart: ChartName): Values {
  return parse(readFileSync(`${chartFolder(chart)}/values.yaml`, 'utf8')) as Values
}

/** The comments `# path: text` of a chart's values.yaml, which may go on in the lines below, in their order. */
export function documentedValues(chart: ChartName): DocumentedValue[] {
  const values = readValues(chart)
  const documented: DocumentedValue[] = []
  let last: DocumentedValue | undefined
  for (const line of readFileSync(`${chartFolder(chart)}/values.yaml`, 'utf8').split('\n')) {
    const comment = /^ *# (.*)$/.exec(line)?.[1]
    const [, path, text] = /^([a-zA-Z0-9]+(?:\.[a-zA-Z0-9]+)*): (.*)$/.exec(comment ?? '') ?? []
    if (path !== undefined) {
      last = { path, text: text!, default: valueAt(values, path) }
      documented.push(last)
    } else if (comment !== undefined && last !== undefined) last.text += ` ${comment}`
    else last = undefined
  }
  return documented
}

export const valueAt = (values: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((at, key) => (at as Values | undefined)?.[key], values)

/** Paths of values that neither they nor what they are part of are documented. */
export function undocumented(values: Values, documented: ReadonlySet<string>, above = ''): string[] {
  return Object.entries(values).flatMap(([key, value]) => {
    const path = above + key
    if (documented.has(path)) return []
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0
    return isMap ? undocumented(value as Values, documented, `${path}.`) : [path]
  })
}
