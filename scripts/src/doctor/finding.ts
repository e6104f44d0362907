import { indent, table } from '../text.ts'

/** A fault loses or stops something now, or will; a warning is for somebody to know of. */
export type Level = 'ok' | 'warning' | 'fault'

export interface Finding {
  area: string
  check: string
  level: Level
  /** What was found, on one line. */
  found: string
  /** What to do, as it is typed where that can be; only with a warning or a fault. */
  remedy?: string
}

/** Collects the findings of one area. */
export class Findings {
  readonly all: Finding[] = []
  private readonly area: string

  constructor(area: string) {
    this.area = area
  }

  ok(check: string, found: string): void {
    this.all.push({ area: this.area, check, level: 'ok', found })
  }

  warning(check: string, found: string, remedy: string): void {
    this.all.push({ area: this.area, check, level: 'warning', found, remedy })
  }

  fault(check: string, found: string, remedy: string): void {
    this.all.push({ area: this.area, check, level: 'fault', found, remedy })
  }

  /** The first that is true decides; none: ok. */
  judge(
    check: string,
    found: string,
    ...cases: [level: 'warning' | 'fault', applies: boolean, remedy: string][]
  ): void {
    const [level, , remedy] = cases.find(([, applies]) => applies) ?? []
    this.all.push({ area: this.area, check, level: level ?? 'ok', found, ...(remedy !== undefined && { remedy }) })
  }
}

export const countOf = (findings: readonly Finding[], level: Level): number =>
  findings.filter((finding) => finding.level === level).length

const SHOWN = { ok: 'ok', warning: 'warning', fault: 'FAULT' } as const

/** A block for each area: a line for each check, its remedy below. */
export function describeFindings(findings: readonly Finding[]): string[] {
  const lines: string[] = []
  const width = Math.max(...findings.map(({ check }) => check.length))
  const columns = [{ title: '' }, { title: '' }, { title: '' }]
  let area: string | undefined
  for (const finding of findings) {
    if (finding.area !== area) lines.push(...(area === undefined ? [] : ['']), finding.area)
    area = finding.area
    const cells = [SHOWN[finding.level].padEnd(7), finding.check.padEnd(width), finding.found]
    lines.push(...indent(table(columns, [cells])))
    for (const line of finding.remedy?.split('\n') ?? []) lines.push(`${' '.repeat(11)}${line}`)
  }
  return lines
}
