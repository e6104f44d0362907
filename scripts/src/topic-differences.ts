import { plural } from './text.ts'

export interface Topic {
  name: string
  partitions: number
  /** -1: whatever the broker has for its default. */
  replication: number
  config: Record<string, string>
}

/** Where more than is wanted does no harm; -1 is without end. */
const AT_LEAST = new Set(['retention.ms', 'max.message.bytes'])

/** What of a topic that is there is not as it would have been created, in words. */
export function topicDifferences(wanted: Topic, actual: Topic): string[] {
  const differences: string[] = []
  if (actual.partitions !== wanted.partitions) {
    differences.push(`it has ${plural(actual.partitions, 'partition')}, not ${wanted.partitions}`)
  }
  if (wanted.replication > 0 && actual.replication !== wanted.replication) {
    differences.push(`its partitions have ${plural(actual.replication, 'replica')}, not ${wanted.replication}`)
  }
  for (const [key, value] of Object.entries(wanted.config)) {
    const found = actual.config[key]
    if (found === value || (AT_LEAST.has(key) && isEnough(found, value))) continue
    const atLeast = AT_LEAST.has(key) ? 'at least ' : ''
    differences.push(`${key} is ${found ?? 'not known'}, not ${atLeast}${value}`)
  }
  return differences
}

function isEnough(found: string | undefined, wanted: string): boolean {
  const number = Number(found)
  return number === -1 || number >= Number(wanted)
}
