import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export interface BuildInfo {
  readonly version: string
  readonly commit?: string
}

export interface Metrics {
  readonly registry: Registry
  /** Ends the timers behind the metrics; the registry can still be read. */
  close(): void
}

/** A registry with the process' metrics, what it was built from, and how busy its event loop was. */
export function createMetrics(build: BuildInfo): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 1000 })
  // They measure the scrape itself, and one of them is never reset: see eventLoop below.
  for (const { name } of registry.getMetricsAsArray()) {
    if (name.startsWith('nodejs_eventloop_lag')) registry.removeSingleMetric(name)
  }
  new Gauge({
    name: 'rates_build_info',
    help: 'Always 1; the labels tell what the process was built from.',
    labelNames: ['version', 'commit'],
    registers: [registry],
  }).set({ version: build.version, commit: build.commit ?? 'unknown' }, 1)
  return { registry, close: eventLoop(registry) }
}

const RESOLUTION_MS = 20
/** A second scraper within this time gets the figures of the first, and not those of an empty interval. */
const SHORTEST_INTERVAL_MS = 1000

/** How late timers were since the last scrape, and which part of that time the event loop was busy. */
function eventLoop(registry: Registry): () => void {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delays.enable()
  let since = performance.eventLoopUtilization()
  let readAt = performance.now()
  const delay = new Gauge({
    name: 'nodejs_eventloop_delay_seconds',
    help: 'How late timers were since the last scrape; quantile 1 is the longest delay.',
    labelNames: ['quantile'],
    registers: [registry],
    collect: read,
  })
  const utilization = new Gauge({
    name: 'nodejs_eventloop_utilization_ratio',
    help: 'Part of the time since the last scrape in which the event loop was busy.',
    registers: [registry],
  })
  for (const quantile of ['0.5', '0.99', '1']) delay.set({ quantile }, 0)

  function read(): void {
    const now = performance.now()
    if (now - readAt < SHORTEST_INTERVAL_MS) return
    readAt = now
    const seconds = (percentile: number): number =>
      Math.max(delays.percentile(percentile) / 1e9 - RESOLUTION_MS / 1e3, 0) // it measures from tick to tick
    if (delays.count > 0) {
      delay.set({ quantile: '0.5' }, seconds(50))
      delay.set({ quantile: '0.99' }, seconds(99))
      delay.set({ quantile: '1' }, seconds(100))
    }
    delays.reset()
    const until = performance.eventLoopUtilization()
    utilization.set(performance.eventLoopUtilization(until, since).utilization)
    since = until
  }
  return () => void delays.disable()
}

/** The duration of each HTTP request by its route (the pattern, never the path: ids are no labels). */
export function httpDurations(
  registry: Registry,
): Histogram<'http_request_method' | 'http_route' | 'http_response_status_code'> {
  return new Histogram({
    name: 'http_server_request_duration_seconds',
    help: 'From the request being read to its answer being sent.',
    labelNames: ['http_request_method', 'http_route', 'http_response_status_code'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
    registers: [registry],
  })
}
