import { afterEach, describe, expect, it } from '@jest/globals'
import { createMetrics, httpDurations, type Metrics } from './metrics.ts'

let metrics: Metrics | undefined
afterEach(() => metrics?.close())

describe('metrics', () => {
  it('tell what the process was built from', async () => {
    metrics = createMetrics({ version: '1.2.3', commit: 'abc' })
    expect(await metrics.registry.metrics()).toContain('rates_build_info{version="1.2.3",commit="abc"} 1')
  })

  it("are the process' own, but for prom-client's event-loop lag", async () => {
    metrics = createMetrics({ version: '1.2.3' })
    const text = await metrics.registry.metrics()
    expect(text).toContain('process_resident_memory_bytes')
    expect(text).not.toContain('nodejs_eventloop_lag')
  })

  it('show a blocked event loop once, in the scrape after it', async () => {
    metrics = createMetrics({ version: '1.2.3' })
    const scrape = async (): Promise<{ delay: number; busy: number }> => {
      await new Promise((resolve) => setTimeout(resolve, 1100)) // an interval of its own
      const text = await metrics!.registry.metrics()
      const value = (series: string): number =>
        Number(
          text
            .split('\n')
            .find((line) => line.startsWith(series))
            ?.split(' ')[1],
        )
      return {
        delay: value('nodejs_eventloop_delay_seconds{quantile="1"}'),
        busy: value('nodejs_eventloop_utilization_ratio'),
      }
    }
    await scrape()
    await new Promise((resolve) => setTimeout(resolve, 50)) // the first tick after a reset only sets the clock
    const until = performance.now() + 600
    while (performance.now() < until);
    const blocked = await scrape()
    const calm = await scrape()
    expect(blocked.delay).toBeGreaterThan(0.5)
    expect(blocked.busy).toBeGreaterThan(0.3)
    expect(calm.delay).toBeLessThan(0.3)
  })

  it('count requests by method, route and status', async () => {
    metrics = createMetrics({ version: '1.2.3' })
    const durations = httpDurations(metrics.registry)
    durations.observe({ http_request_method: 'GET', http_route: '/rates', http_response_status_code: '200' }, 0.004)
    expect(await metrics.registry.metrics()).toContain(
      'http_server_request_duration_seconds_bucket{le="0.005",http_request_method="GET",http_route="/rates",http_response_status_code="200"} 1',
    )
  })
})
