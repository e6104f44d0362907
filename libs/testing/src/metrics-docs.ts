import { readFileSync } from 'node:fs'
import { type Sample } from './metrics-text.ts'

/** A row of a table in docs/metrics.md. */
interface Documented {
  section: string
  name: string
  labels: string[]
}

const FILE = new URL('../../../docs/metrics.md', import.meta.url)

export function documentedMetrics(): Documented[] {
  let section = ''
  const found: Documented[] = []
  for (const line of readFileSync(FILE, 'utf8').split('\n')) {
    section = /^## (.*)/.exec(line)?.[1] ?? section
    if (!line.startsWith('| `')) continue
    const [, names = '', labels = ''] = line.split('|')
    // The values of a label stand in brackets behind it.
    const words = ticked(labels.replaceAll(/\([^)]*\)/g, ''))
    for (const name of ticked(names)) found.push({ section, name, labels: words })
  }
  return found
}

const ticked = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, word]) => word!)

/** What is exported and not in docs/metrics.md, and the other way round for some of its sections; empty: all is well. */
export function undocumented(samples: readonly Sample[], sections: readonly string[]): string[] {
  const documented = documentedMetrics()
  const faults = new Set<string>()
  const exported = new Set<string>()
  for (const { name, labels } of samples) {
    if (/^(process|nodejs)_/.test(name) && !name.startsWith('nodejs_eventloop')) continue
    const base = 'le' in labels ? name.replace(/_bucket$/, '') : name
    const row = documented.find((each) => each.name === base || new RegExp(`^${each.name}_(sum|count)$`).test(base))
    if (!row) {
      faults.add(`${base} is exported, and not documented`)
      continue
    }
    exported.add(row.name)
    const extra = Object.keys(labels).filter((label) => label !== 'le' && !row.labels.includes(label))
    for (const label of extra) faults.add(`${base} has a label ${label} that is not documented`)
    for (const label of row.labels) if (!(label in labels)) faults.add(`${base} has no label ${label}`)
  }
  for (const { section, name } of documented) {
    if (sections.includes(section) && !exported.has(name)) faults.add(`${name} is documented, and not exported`)
  }
  return [...faults]
}
