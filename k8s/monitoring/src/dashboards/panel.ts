import {
  BigValueColorMode,
  BigValueGraphMode,
  BigValueTextMode,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
  VisibilityMode,
} from '@grafana/grafana-foundation-sdk/common'
import { ThresholdsConfigBuilder, ThresholdsMode, type Threshold } from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TimeSeriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries'

export const DATASOURCE = { type: 'prometheus', uid: '${datasource}' }

export interface Query {
  expr: string
  /** With labels as {{label}}. */
  legend: string
}

interface PanelSpec {
  title: string
  /** What it shows and what to conclude from it. */
  description: string
  /** Grafana's name of it: s, short, percentunit, Bps, … */
  unit: string
  queries: Query[]
  /** Of 24 columns. */
  width: number
  height?: number
  /** From the value on, the colour: [[null, 'green'], [60, 'red']]. */
  colours?: [number | null, string][]
}

export interface GraphSpec extends PanelSpec {
  stacked?: boolean
  max?: number
  /** Draw the colours' borders as dashed lines. */
  lines?: boolean
  /** Colours of series by their legend; others get Grafana's own. */
  palette?: Readonly<Record<string, string>>
}

export interface StatSpec extends PanelSpec {
  /** Show the series' name in place of its value. */
  name?: boolean
  decimals?: number
  /** What stands there without a series. */
  none?: string
}

const LETTERS = 'ABCDEFGH'

const query = ({ expr, legend }: Query, i: number): DataqueryBuilder =>
  new DataqueryBuilder().expr(expr).legendFormat(legend).refId(LETTERS[i]!).datasource(DATASOURCE)

const thresholds = (colours: [number | null, string][]): ThresholdsConfigBuilder =>
  new ThresholdsConfigBuilder()
    .mode(ThresholdsMode.Absolute)
    .steps(colours.map(([value, color]): Threshold => ({ value, color })))

/** Values over time. */
export function graph(spec: GraphSpec): TimeSeriesBuilder {
  const panel = new TimeSeriesBuilder()
    .title(spec.title)
    .description(spec.description)
    .unit(spec.unit)
    .datasource(DATASOURCE)
    .span(spec.width)
    .height(spec.height ?? 7)
    .min(0)
    .showPoints(VisibilityMode.Never)
    .lineWidth(spec.stacked ? 0 : 1)
    .fillOpacity(spec.stacked ? 70 : 0)
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .showLegend(true)
        .calcs([]),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .targets(spec.queries.map((each, i) => query(each, i).range()))
  if (spec.stacked) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'))
  if (spec.max !== undefined) panel.max(spec.max)
  if (spec.colours) panel.thresholds(thresholds(spec.colours))
  for (const [name, fixedColor] of Object.entries(spec.palette ?? {}))
    panel.overrideByName(name, [{ id: 'color', value: { mode: 'fixed', fixedColor } }])
  if (spec.lines) panel.thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed))
  return panel
}

/** The value of now. */
export function stat(spec: StatSpec): StatBuilder {
  const panel = new StatBuilder()
    .title(spec.title)
    .description(spec.description)
    .unit(spec.unit)
    .datasource(DATASOURCE)
    .span(spec.width)
    .height(spec.height ?? 4)
    .colorMode(BigValueColorMode.Background)
    .graphMode(BigValueGraphMode.None)
    .textMode(spec.name ? BigValueTextMode.Name : BigValueTextMode.Auto)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .thresholds(thresholds(spec.colours ?? [[null, 'blue']]))
    .targets(spec.queries.map((each, i) => query(each, i).instant()))
  if (spec.decimals !== undefined) panel.decimals(spec.decimals)
  if (spec.none !== undefined) panel.noValue(spec.none)
  return panel
}
