import { describe, expect, it } from '@jest/globals'
import { jobsOf, verdictUrl } from './prometheus.ts'

describe('jobsOf', () => {
  it('has the management ports of the API and of all workers, and nothing else', () => {
    const service = (name: string, port: number) => ({
      name,
      pid: 1,
      log: 'x',
      managementUrl: `http://127.0.0.1:${port}`,
    })
    const processes = [
      { name: 'postgres', pid: 2, log: 'x' },
      service('ingest-2', 8083),
      service('rates-api', 8081),
      service('ingest-1', 8082),
    ]
    expect(jobsOf({ processes })).toEqual({
      'rates-api': ['127.0.0.1:8081'],
      ingest: ['127.0.0.1:8083', '127.0.0.1:8082'],
    })
    expect(jobsOf({ processes: processes.slice(0, 1) })).toEqual({ 'rates-api': [], ingest: [] })
  })
})

describe('verdictUrl', () => {
  it("opens Prometheus' page with the verdict's query", () => {
    const { pathname, searchParams } = new URL(verdictUrl('http://127.0.0.1:9090'))
    expect(pathname).toBe('/graph')
    expect(searchParams.get('g0.expr')).toBe('rates:bottleneck:info')
  })
})
