import { loadConfig } from '@rates/service/config'
import { Lifecycle } from '@rates/service/lifecycle'
import { createLogger } from '@rates/service/log'
import { type Line } from '@rates/testing/line'
import { workerEnvironment } from '@rates/testing/workers'
import { settings } from './config.ts'
import { startWorker } from './worker.ts'

export interface TestWorker {
  name: string
  failed: Promise<never>
  stop(): Promise<void>
  managementPort: number
}

/** A worker in the test's own process, which stops with the line at the latest. */
export async function startTestWorker(line: Line, overrides: Record<string, string> = {}): Promise<TestWorker> {
  // It is never killed: no test waits for its session to end, and a busy machine must not end it.
  const config = loadConfig(settings, workerEnvironment(line, { SESSION_SECONDS: '30', ...overrides }))
  const lifecycle = new Lifecycle()
  const stop = (): Promise<void> => lifecycle.stop()
  line.defer(stop)
  const level = process.env['TEST_LOG_LEVEL'] ?? 'silent'
  const worker = await startWorker(config, createLogger('ingest', level), lifecycle)
  return { name: config.WORKER_NAME, failed: worker.failed, stop, managementPort: worker.managementPort }
}
