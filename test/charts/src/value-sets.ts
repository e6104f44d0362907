import { fileURLToPath } from 'node:url'

export type ChartName = 'rates' | 'rates-dev'

/** Values that a chart is rendered with, by files that people use, too. */
export interface ValueSet {
  name: string
  chart: ChartName
  file: string
}

const root = fileURLToPath(new URL('../../../', import.meta.url))

export const chartFolder = (chart: ChartName): string => `${root}charts/${chart}`

const ci = (chart: ChartName, name: string): ValueSet => ({
  name: `${chart} ${name}`,
  chart,
  file: `${chartFolder(chart)}/ci/${name}-values.yaml`,
})

const environment = (name: string, chart: ChartName): ValueSet => ({
  name: `${name} ${chart}`,
  chart,
  file: `${root}k8s/environments/${name}/${chart}.yaml`,
})

export const valueSets: readonly ValueSet[] = [
  ci('rates', 'minimal'),
  ci('rates', 'ha'),
  ci('rates', 'tiny'),
  ci('rates', 'dev'),
  ci('rates-dev', 'one'),
  ci('rates-dev', 'three'),
  environment('dev', 'rates-dev'),
  environment('dev', 'rates'),
  environment('staging', 'rates'),
  environment('production', 'rates'),
]
