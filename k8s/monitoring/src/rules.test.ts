import { describe, expect, it } from '@jest/globals'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { alerts } from './rule-files.ts'

interface AlertTest {
  alertname: string
  exp_alerts: { exp_labels: Record<string, string> }[]
}

const root = new URL('../../../', import.meta.url)
const tests = new URL('../rules-tests/', import.meta.url)
const tested = readdirSync(tests)
  .map((name) => parse(readFileSync(new URL(name, tests), 'utf8')) as { tests: { alert_rule_test?: AlertTest[] }[] })
  .flatMap((file) => file.tests.flatMap(({ alert_rule_test = [] }) => alert_rule_test))

describe.each(alerts.map((each) => [each.alert, each] as const))('%s', (name, { labels, annotations, expr }) => {
  it('tells how urgent it is, what was seen, and where to read on', () => {
    expect(name).toMatch(/^Rates[A-Z]/)
    expect(labels.severity).toMatch(/^(page|ticket)$/)
    expect(annotations.summary).toMatch(/^.{10,80}\.$/)
    expect(annotations.description).toMatch(/\.$/)
    expect(expr).not.toMatch(/\bby \((?!namespace)/)
  })

  it('has a runbook that tells its meaning, impact, diagnosis and mitigation', () => {
    const runbook = new URL(annotations.runbook_url, root)
    expect([annotations.runbook_url, existsSync(runbook)]).toEqual([`docs/runbooks/${name}.md`, true])
    const text = readFileSync(runbook, 'utf8')
    expect(text).toMatch(new RegExp(`^# ${name}\n`))
    const sections = [...text.matchAll(/^## (.*)\n+(.*)/gm)].map(([, title, first]) => [title, first !== ''])
    expect(sections).toEqual([
      ['Meaning', true],
      ['Impact', true],
      ['Diagnosis', true],
      ['Mitigation', true],
    ])
  })

  it('has a test in which it fires, and one in which it does not', () => {
    const own = tested.filter(({ alertname }) => alertname === name)
    expect({
      fires: own.some(({ exp_alerts }) => exp_alerts.length > 0),
      staysSilent: own.some(({ exp_alerts }) => exp_alerts.length === 0),
    }).toEqual({ fires: true, staysSilent: true })
  })
})

it('has no runbook without an alert', () => {
  const runbooks = readdirSync(new URL('docs/runbooks/', root)).filter((name) => name !== 'README.md')
  expect(runbooks.sort()).toEqual(alerts.map(({ alert }) => `${alert}.md`).sort())
})
