import { loadConfig } from '@rates/service/config'
import { armFailpoints } from '@rates/service/failpoints'
import { Lifecycle, main, runUntilSignal } from '@rates/service/lifecycle'
import { createLogger } from '@rates/service/log'
import { collectLessOften } from '@rates/service/memory'
import { settings as schema } from './config.ts'
import { startWorker } from './worker.ts'

main('ingest', async () => {
  collectLessOften()
  const settings = loadConfig(schema)
  armFailpoints(settings.FAILPOINTS)
  const log = createLogger('ingest', settings.LOG_LEVEL).child({ worker: settings.WORKER_NAME })
  const lifecycle = new Lifecycle()
  const worker = await startWorker(settings, log, lifecycle)
  return runUntilSignal(log, lifecycle, {
    deadlineSeconds: settings.DRAIN_SECONDS,
    onSignal: worker.drain,
    failed: worker.failed,
  })
})
