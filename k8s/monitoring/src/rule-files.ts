import { stringify } from 'yaml'
import { flow } from './rules/flow.ts'
import { pages } from './rules/page.ts'
import { isAlert, type AlertRule, type RuleGroup } from './rules/rule.ts'
import { slo } from './rules/slo.ts'
import { tickets } from './rules/ticket.ts'
import { verdict } from './rules/verdict.ts'

export const GROUPS: Readonly<Record<string, RuleGroup[]>> = {
  'bottleneck.yaml': [verdict, flow],
  'slo.yaml': [slo],
  'alerts.yaml': [pages, tickets],
}

export const alerts: AlertRule[] = Object.values(GROUPS)
  .flat()
  .flatMap(({ rules }) => rules.filter(isAlert))

const HEAD = '# Made by `npm run monitoring:generate` from k8s/monitoring/src/rules.\n'

/** Each file's text by its name. */
export const ruleFiles = (): Map<string, string> =>
  new Map(Object.entries(GROUPS).map(([name, groups]) => [name, HEAD + stringify({ groups }, { lineWidth: 0 })]))
