import { setTimeout as sleep } from 'node:timers/promises'
import { armFailpoints } from '@rates/service/failpoints'
import { kafkaSecurity } from '@rates/service/kafka-security'
import { Lifecycle, main, runUntilSignal } from '@rates/service/lifecycle'
import { createLogger } from '@rates/service/log'
import { createMetrics } from '@rates/service/metrics'
import { startManagement } from '@rates/service/nest/management.module'
import { measurePools } from '@rates/service/pool-metrics'
import { createPool } from '@rates/service/postgres'
import { within } from '@rates/service/within'
import { Answers } from './answers.ts'
import { closeGently, createApp, listen } from './app.module.ts'
import { ClaimStore } from './claim-store.ts'
import { ClaimSweep } from './claim-sweep.ts'
import { readSettings } from './config.ts'
import { Ledger, ledgerSource } from './ledger.ts'
import { stopping } from './problem.ts'
import { QueryDoor } from './query-door.ts'
import { queryMetrics } from './query-metrics.ts'
import { SharedProducer } from './shared-producer.ts'
import { Startup } from './startup.ts'

main('rates-api', async () => {
  const settings = readSettings()
  armFailpoints(settings.FAILPOINTS)
  const log = createLogger('rates-api', settings.LOG_LEVEL)
  const lifecycle = new Lifecycle()
  const metrics = createMetrics({
    version: settings.BUILD_VERSION,
    commit: settings.BUILD_COMMIT,
  })
  lifecycle.defer('metrics', metrics.close)

  const pool = createPool(settings.DATABASE_URL, { name: 'rates-api', max: settings.DATABASE_POOL, log })
  // Who still waits for PostgreSQL when nobody waits for the answer any more does not hold up the end.
  lifecycle.defer('the pool', () => within(settings.DRAIN_SECONDS * 0.05, pool.end()))
  measurePools(metrics.registry, { reads: pool })
  const ledger = new Ledger(ledgerSource(settings.DATABASE_URL, 4), {
    publicUrl: settings.PUBLIC_URL,
    logTemplate: settings.BATCH_LOG_TEMPLATE,
  })
  lifecycle.defer('the ledger', () => ledger.close())

  const startup = new Startup(settings, log)
  lifecycle.defer('the startup', () => startup.stop())
  const management = await startManagement({
    host: settings.HOST,
    port: settings.MANAGEMENT_PORT,
    registry: metrics.registry,
    live: {},
    // Kafka is none of them: reads go on without it.
    ready: { postgres: () => pool.query('select 1'), startup: () => startup.check() },
    started: { startup: () => startup.check() },
    log,
  })
  lifecycle.defer('the management port', () => management.close())

  const kafka = { brokers: settings.KAFKA_BROKERS, clientId: 'rates-api', log, security: kafkaSecurity(settings) }
  const producer = new SharedProducer(kafka)
  lifecycle.defer('the producer', () => producer.close())

  let draining = false
  const uploads = new AbortController()
  const app = await createApp({
    settings,
    log,
    registry: metrics.registry,
    pool,
    ledger,
    producer,
    stopping: uploads.signal,
    draining: () => draining,
  })
  const deadlineSeconds = settings.DRAIN_SECONDS + settings.DRAIN_DELAY_SECONDS
  let queries: QueryDoor | undefined
  lifecycle.defer('the HTTP server, and queries by message', async () => {
    const deadline = performance.now() + deadlineSeconds * 1000
    const users = queries?.stop()
    await sleep(settings.DRAIN_DELAY_SECONDS * 1000)
    const abort = (): void => uploads.abort(stopping())
    await closeGently(app, (deadline - performance.now()) / 1000, { abort, users })
  })
  const port = await listen(app, settings.HOST, settings.PORT)
  log.info({ port, managementPort: management.port }, 'listening')
  void startup.run().then(() => app.get(ClaimSweep).start())

  if (settings.QUERIES) queries = openQueries()

  return runUntilSignal(log, lifecycle, {
    deadlineSeconds,
    onSignal: () => {
      draining = true
      management.drain()
    },
  })

  function openQueries(): QueryDoor {
    const door = new QueryDoor({
      kafka: { ...kafka, clientId: 'rates-api-queries' },
      prefix: settings.KAFKA_PREFIX,
      replyTopics: settings.REPLY_TOPICS,
      pool,
      answers: app.get(Answers),
      claims: app.get(ClaimStore),
      publicUrl: settings.PUBLIC_URL,
      answerMaxBytes: settings.ANSWER_MAX_BYTES,
      atOnce: settings.QUERIES_AT_ONCE,
      drainSeconds: settings.DRAIN_SECONDS * 0.4,
      ready: () => startup.check(),
      metrics: queryMetrics(metrics.registry),
      log,
    })
    door.start()
    return door
  }
})
