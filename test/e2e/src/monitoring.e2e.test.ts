import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { dashboards } from '@rates/monitoring/dashboards/all'
import { doors as doorsDashboard } from '@rates/monitoring/dashboards/doors'
import { panelsOf, queriesOf, queriesOfRules, substituted, targetsOf, type Asked } from '@rates/monitoring/queries'
import { eventually } from '@rates/testing/eventually'
import { familyOf, readExposition, type Family } from '@rates/testing/exposition'
import { readPromql } from '@rates/testing/promql'
import { startReceiver } from '@rates/testing/receiver'
import { describeWithPrometheus } from '@rates/testing/with-prometheus'
import { startMonitored, type Monitored } from './monitored.ts'
import { leaveOpen, useAll } from './use-all.ts'
import { openDoors, useDoors } from './use-doors.ts'

const root = new URL('../../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')

/** What Prometheus adds to every series, on a cluster and here. */
const TARGET_LABELS = ['job', 'instance', 'namespace', 'pod', 'container']
/** Series of Prometheus' own. */
const OTHERS = /^(up|ALERTS|ALERTS_FOR_STATE|scrape_\w+)$/

/** In running text and in blocks: whatever names a metric and is no command and no SQL. */
function runbookQueries(): Asked[] {
  const files = readdirSync(new URL('docs/runbooks/', root)).filter((file) => file.endsWith('.md'))
  return files.flatMap((file) => {
    const text = read(`docs/runbooks/${file}`)
    const blocks = [...text.matchAll(/^ *```promql\n([^`]*)^ *```/gm), ...text.matchAll(/(?<!`)`([^`\n]+)`(?!`)/g)]
    return blocks
      .map(([, code]) => code!.trim())
      .filter((code) => /(^|[^\w./-])(rates|http_server|nodejs|process)[_:][\w:]+/.test(code))
      .filter((code) => !/^(npx|npm|kubectl|curl|select|update|delete|insert|rates) /.test(code))
      .map((code) => ({ where: `runbook ${file}`, expr: substituted(code) }))
  })
}

const queries = [...dashboards.flatMap(queriesOf), ...queriesOfRules(), ...runbookQueries()]
const recorded = new Set(queriesOfRules().flatMap(({ where }) => where.split(' › ')[1] ?? []))

let system: Monitored
const live = new Map<string, Family>()

beforeAll(async () => {
  const [receiver, doors] = await Promise.all([startReceiver(), openDoors()])
  const objects = { ...doors.settings, OBJECT_BUCKETS: doors.bucket }
  system = await startMonitored({
    workers: 2,
    settings: { ...objects, COMPACT_AFTER_SECONDS: '0', WEBHOOK_URL: receiver.url },
    api: { ANSWER_MAX_BYTES: '1000' },
  })
  system.line.defer(() => receiver.close())
  system.line.defer(() => doors.close())
  await useAll(system.line, system.url)
  await useDoors(system.line, doors, system.url)
  // Rules are evaluated every 15 to 60 s, and some use what others have recorded.
  await eventually(async () => (await ruleStates()).every(({ lastEvaluation }) => isPast(lastEvaluation)), {
    within: 150_000,
    every: 1_000,
    what: 'all rules being evaluated',
  })
  await leaveOpen(system.line)
  await eventually(
    async () => {
      for (const url of system.management) readExposition(await (await fetch(`${url}/metrics`)).text(), live)
      return live.has('rates_ingest_deadline_slack_seconds')
    },
    { within: 30_000, every: 1_000, what: 'the slack of the open batch being exported' },
  )
}, 900_000)
afterAll(() => system?.line.close())

const isPast = (time: string): boolean => !time.startsWith('0001-')

interface RuleState {
  name: string
  health: string
  lastError?: string
  lastEvaluation: string
}

async function ruleStates(): Promise<RuleState[]> {
  const answer = await fetch(`${system.prometheus}/api/v1/rules`)
  const { data } = (await answer.json()) as { data: { groups: { rules: RuleState[] }[] } }
  return data.groups.flatMap(({ rules }) => rules)
}

describeWithPrometheus('what is asked of a running system', () => {
  it('is a lot, on dashboards, in rules and in runbooks', () => {
    expect(queries.length).toBeGreaterThan(100)
    for (const kind of ['runbook ', 'rates-page › ', `${dashboards[0]!.title} › `]) {
      expect(queries.filter(({ where }) => where.startsWith(kind)).length).toBeGreaterThan(5)
    }
  })

  it('is answered, every query', async () => {
    const faults: string[] = []
    for (const { where, expr } of queries) {
      await system.query(expr).catch((error: Error) => faults.push(`${where}: ${error.message}`))
    }
    expect(faults).toEqual([])
  })

  it('has something to show in each panel of the doors', async () => {
    const empty: string[] = []
    for (const panel of panelsOf(doorsDashboard)) {
      const series = await Promise.all(targetsOf(panel).map(({ expr }) => system.query(substituted(expr))))
      if (series.flat().length === 0) empty.push(panel.title!)
    }
    // No webhook waits.
    expect(empty).toEqual(['Oldest webhook'])
  })

  it('has rules without errors', async () => {
    const wrong = (await ruleStates()).filter(({ health }) => health !== 'ok')
    expect(wrong.map(({ name, health, lastError }) => ({ name, health, lastError }))).toEqual([])
  })

  it('is of metrics and labels that exist', async () => {
    const faults = new Set<string>()
    const labelsOf = async (metric: string): Promise<Set<string> | undefined> => {
      if (OTHERS.test(metric)) return undefined
      const family = live.get(familyOf(metric, live))
      if (family) return new Set([...family.labels.keys(), ...TARGET_LABELS])
      if (!recorded.has(metric)) return new Set()
      const series = await system.query(metric)
      // One that has no value now, such as the verdict where there is none, has no labels to compare.
      return series.length === 0
        ? undefined
        : new Set([...series.flatMap((each) => Object.keys(each.metric)), ...TARGET_LABELS])
    }
    for (const { where, expr } of queries) {
      const { selectors, grouped, made } = readPromql(expr)
      const known = new Set([...TARGET_LABELS, ...made])
      let isOpen = false
      for (const { metric, matchers } of selectors) {
        const labels = await labelsOf(metric)
        if (labels === undefined) isOpen = true
        else if (labels.size === 0) faults.add(`${where}: there is no metric ${metric}`)
        else {
          for (const label of labels) known.add(label)
          const values = live.get(familyOf(metric, live))?.labels
          for (const { label, operator, value } of matchers) {
            if (!labels.has(label)) faults.add(`${where}: ${metric} has no label ${label}`)
            else if (operator === '=' && values?.has(label) && !values.get(label)!.has(value)) {
              faults.add(`${where}: ${metric} has no ${label}="${value}"`)
            }
          }
        }
      }
      for (const label of grouped) {
        if (!isOpen && !known.has(label)) faults.add(`${where}: nothing there has the label ${label}`)
      }
    }
    expect([...faults]).toEqual([])
  })
})

describeWithPrometheus('docs/metrics.md', () => {
  const rows = read('docs/metrics.md')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split(' | '))

  it('has every metric that is exported, with its labels', () => {
    const missing: string[] = []
    for (const [name, { labels }] of live) {
      if (/^(process|nodejs)_/.test(name) && !name.startsWith('nodejs_eventloop_')) continue // prom-client's own
      const row = rows.find(([metric]) => metric!.includes(`\`${name}\``))
      if (!row) missing.push(name)
      else {
        for (const label of labels.keys())
          if (label !== 'le' && !row[1]!.includes(`\`${label}\``)) missing.push(`${name}{${label}}`)
      }
    }
    expect(missing).toEqual([])
  })

  it('has no metric that is not exported', () => {
    const told = rows.flatMap(([metric]) => [...metric!.matchAll(/`(\w+)`/g)].map(([, name]) => name!))
    expect(told.length).toBeGreaterThan(30)
    expect(told.filter((name) => !live.has(name))).toEqual([])
  })
})
