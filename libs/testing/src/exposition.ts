/** A metric as a process exports it: its type, and what its samples have as labels. */
export interface Family {
  type: string
  labels: Map<string, Set<string>>
}

const SAMPLE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? /
const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g

/** Reads Prometheus' text format. Families without a sample are in it, too; `le` and `quantile` count as labels. */
export function readExposition(text: string, families = new Map<string, Family>()): Map<string, Family> {
  for (const line of text.split('\n')) {
    const [, declared, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? []
    if (declared !== undefined && !families.has(declared)) families.set(declared, { type: type!, labels: new Map() })
    const [, name, labels = ''] = SAMPLE.exec(line) ?? []
    if (line.startsWith('#') || name === undefined) continue
    const family = families.get(familyOf(name, families)) ?? { type: 'untyped', labels: new Map<string, Set<string>>() }
    for (const [, label, value] of labels.matchAll(LABEL)) {
      const values = family.labels.get(label!) ?? new Set()
      family.labels.set(label!, values.add(value!))
    }
  }
  return families
}

/** Histograms and summaries have samples under more names than their own. */
export function familyOf(sample: string, families: ReadonlyMap<string, Family>): string {
  if (families.has(sample)) return sample
  const base = sample.replace(/_(bucket|sum|count)$/, '')
  return ['histogram', 'summary'].includes(families.get(base)?.type ?? '') ? base : sample
}
