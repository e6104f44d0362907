import { dashboardFiles } from './dashboards/all.ts'
import { ruleFiles } from './rule-files.ts'

const FILES = new URL('../../../charts/rates/files/', import.meta.url)

/** All that is made from this workspace: the text of each file of the chart, by its address. */
export const generated = (): Map<URL, string> =>
  new Map([
    ...[...ruleFiles()].map(([name, text]) => [new URL(`rules/${name}`, FILES), text] as const),
    ...[...dashboardFiles()].map(([name, text]) => [new URL(`dashboards/${name}`, FILES), text] as const),
  ])
