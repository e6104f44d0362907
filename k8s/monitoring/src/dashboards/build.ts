import { type Builder } from '@grafana/grafana-foundation-sdk/cog'
import {
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
  type Dashboard,
  type Panel,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DATASOURCE } from './panel.ts'

export interface DashboardSpec {
  uid: string
  title: string
  description: string
  from: string
  rows: { title: string; panels: Builder<Panel>[] }[]
}

/** In a panel's query: of the environments chosen. Without Kubernetes there is no such label, and `.*` matches that. */
export const NAMESPACE = 'namespace=~"$namespace"'
/** … and of the processes chosen. */
export const PROCESS = `${NAMESPACE},job=~"$job",instance=~"$instance"`

const all = { selected: true, text: ['All'], value: ['$__all'] }

const variable = (name: string, label: string, selector: string): QueryVariableBuilder =>
  new QueryVariableBuilder(name)
    .label(label)
    .query({ query: `label_values(${selector}, ${name})`, refId: `variable-${name}` })
    .definition(`label_values(${selector}, ${name})`)
    .datasource(DATASOURCE)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .multi(true)
    .includeAll(true)
    .allValue('.*')
    .current(all)

export function dashboard(spec: DashboardSpec): Dashboard {
  const builder = new DashboardBuilder(spec.title)
    .uid(spec.uid)
    .description(spec.description)
    .tags(['rates'])
    .timezone('browser')
    .tooltip(DashboardCursorSync.Crosshair)
    .time({ from: `now-${spec.from}`, to: 'now' })
    .refresh('15s')
    .readonly()
    .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'))
    .withVariable(variable('namespace', 'environment', 'rates_build_info'))
    .withVariable(variable('job', 'service', `rates_build_info{${NAMESPACE}}`))
    .withVariable(variable('instance', 'process', `rates_build_info{${NAMESPACE},job=~"$job"}`))
    .link(
      new DashboardLinkBuilder('Rates')
        .type(DashboardLinkType.Dashboards)
        .tags(['rates'])
        .includeVars(true)
        .keepTime(true),
    )
  for (const row of spec.rows) {
    builder.withRow(new RowBuilder(row.title))
    for (const panel of row.panels) builder.withPanel(panel)
  }
  const built = builder.build()
  built.panels?.forEach((panel, i) => (panel.id = i + 1))
  return built
}
