import os from 'node:os'
import { type Plan, type SectionName, SECTIONS } from './options.ts'
import { type Section } from './bench.ts'
import { debezium, type DebeziumResult } from './sections/debezium.ts'
import { history, type HistoryResult } from './sections/history.ts'
import { lanes, type LanesResult } from './sections/lanes.ts'
import { load, type LoadResult } from './sections/load.ts'
import { memory, type MemoryResult } from './sections/memory.ts'
import { publication, type PublicationResult } from './sections/publication.ts'
import { reads, type ReadsResult } from './sections/reads.ts'
import { rejected, type RejectedResult } from './sections/rejected.ts'
import { scaling, type ScalingResult } from './sections/scaling.ts'
import { small, type SmallResult } from './sections/small.ts'
import { type Check, type Table } from './table.ts'

export interface SectionResults {
  load: LoadResult
  rejected: RejectedResult
  scaling: ScalingResult
  memory: MemoryResult
  publication: PublicationResult
  lanes: LanesResult
  small: SmallResult
  debezium: DebeziumResult
  history: HistoryResult
  reads: ReadsResult
}

/** Everything that a run found: what `--json` writes and `--report` reads. */
export interface Results {
  /** When it began, as RFC 3339. */
  at: string
  seconds: number
  /** Of each section. */
  took: Partial<Record<SectionName, number>>
  machine: { cores: number; memoryGiB: number; cpu: string; node: string; postgres: string; copy: string }
  plan: Plan
  sections: Partial<SectionResults>
  /** Sections that did not get through, and why. */
  failed: Partial<Record<SectionName, string>>
}

const sections: { [Name in SectionName]: Section<SectionResults[Name]> } = {
  load,
  rejected,
  scaling,
  memory,
  publication,
  lanes,
  small,
  debezium,
  history,
  reads,
}

export const sectionOf = <Name extends SectionName>(name: Name): Section<SectionResults[Name]> => sections[name]

/** The tables of each section that was run. */
export function tablesOf(results: Results): { name: SectionName; tables: Table[] }[] {
  const of = <Name extends SectionName>(name: Name): Table[] => {
    const result = results.sections[name]
    return result === undefined ? [] : sectionOf(name).tables(result as SectionResults[Name])
  }
  return SECTIONS.map((name) => ({ name, tables: of(name) })).filter(({ tables }) => tables.length > 0)
}

export function checksOf(results: Results): Check[] {
  const of = <Name extends SectionName>(name: Name): Check[] => {
    const result = results.sections[name]
    return result === undefined ? [] : sectionOf(name).checks(result as SectionResults[Name])
  }
  return SECTIONS.flatMap(of)
}

export function machine(postgres: string, copy: string): Results['machine'] {
  return {
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    cpu: os.cpus()[0]?.model ?? '',
    node: process.versions.node,
    postgres,
    copy,
  }
}
