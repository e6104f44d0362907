import { type JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { averagesChart, countsChart, type ChartEvents } from './chart-options.ts'
import { useColors } from './colors.ts'
import { type Series } from './series.ts'

interface Props {
  series: Series
  /** The chosen day's place. */
  chosen: number | null
  onPoint(index: number | null): void
  onChoose(index: number): void
}

/** The averages, and below them how many prices there are. Whoever cannot see it has the table of the days. */
export function Chart({ series, chosen, onPoint, onChoose }: Props): JSX.Element {
  const box = useRef<HTMLDivElement>(null)
  const charts = useRef<uPlot[]>([])
  const now = useRef({ chosen, onPoint, onChoose })
  now.current = { chosen, onPoint, onChoose }
  const colors = useColors()

  useEffect(() => {
    const events: ChartEvents = {
      onPoint: (index) => now.current.onPoint(index),
      onChoose: (index) => now.current.onChoose(index),
      chosen: () => now.current.chosen,
    }
    const parts = { series, colors, events, width: box.current!.clientWidth }
    charts.current = [
      new uPlot(averagesChart(parts), [series.times, series.averages], box.current!),
      new uPlot(countsChart(parts), [series.times, series.enough, series.few], box.current!),
    ]
    const resized = new ResizeObserver(([entry]) => {
      for (const chart of charts.current) chart.setSize({ width: entry!.contentRect.width, height: chart.height })
    })
    resized.observe(box.current!)
    return () => {
      resized.disconnect()
      for (const chart of charts.current.splice(0)) chart.destroy()
    }
  }, [series, colors])
  useEffect(() => {
    for (const chart of charts.current) chart.redraw(false, false)
  }, [chosen])
  return <div class="chart" ref={box} aria-hidden="true" />
}
