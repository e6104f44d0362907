import { type Dashboard, type Panel } from '@grafana/grafana-foundation-sdk/dashboard'
import { GROUPS } from './rule-files.ts'
import { isAlert } from './rules/rule.ts'

export interface Asked {
  /** Where the query stands: dashboard and panel, or group and rule. */
  where: string
  expr: string
}

/** What Grafana would put in place of variables, with everything chosen. */
const SUBSTITUTES: Readonly<Record<string, string>> = {
  $namespace: '.*',
  $job: '.*',
  $instance: '.*',
  $__rate_interval: '1m',
  $__range: '1h',
}

export const substituted = (expr: string): string =>
  Object.entries(SUBSTITUTES).reduce((text, [name, value]) => text.replaceAll(name, value), expr)

export const panelsOf = (dashboard: Dashboard): Panel[] =>
  (dashboard.panels ?? []).filter((panel): panel is Panel => panel.type !== 'row')

/** A panel's queries as they are written, with variables. */
export const targetsOf = (panel: Panel): { expr: string; legendFormat: string; instant?: boolean }[] =>
  (panel.targets ?? []) as unknown as { expr: string; legendFormat: string; instant?: boolean }[]

/** Every PromQL of a dashboard, those of its variables among them, as Prometheus gets it. */
export function queriesOf(dashboard: Dashboard): Asked[] {
  const variables = (dashboard.templating?.list ?? []).flatMap(({ name, definition }) => {
    const series = /^label_values\((.*), \w+\)$/.exec(definition ?? '')?.[1]
    return series === undefined ? [] : [{ where: `${dashboard.title} › variable ${name}`, expr: substituted(series) }]
  })
  const panels = panelsOf(dashboard).flatMap((panel) =>
    targetsOf(panel).map(({ expr }) => ({
      where: `${dashboard.title} › ${panel.title}`,
      expr: substituted(expr),
    })),
  )
  return [...variables, ...panels]
}

/** Every PromQL of the recording and alerting rules. */
export const queriesOfRules = (): Asked[] =>
  Object.values(GROUPS)
    .flat()
    .flatMap(({ name, rules }) =>
      rules.map((rule) => ({ where: `${name} › ${isAlert(rule) ? rule.alert : rule.record}`, expr: rule.expr })),
    )
