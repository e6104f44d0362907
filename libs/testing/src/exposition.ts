import { parseMetrics } from './metrics-text.ts'

/** A metric as a process exports it: its type, and what its samples have as labels. */
export interface Family {
  type: string
  labels: Map<string, Set<string>>
}

/** Reads Prometheus' text format. Families without a sample are in it, too; `le` and `quantile` count as labels. */
export function readExposition(text: string, families = new Map<string, Family>()): Map<string, Family> {
  for (const [, name, type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    if (!families.has(name!)) families.set(name!, { type: type!, labels: new Map() })
  }
  for (const { name, labels } of parseMetrics(text)) {
    const family = families.get(familyOf(name, families))
    for (const [label, value] of Object.entries(labels)) {
      const values = family?.labels.get(label) ?? new Set()
      family?.labels.set(label, values.add(value))
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
