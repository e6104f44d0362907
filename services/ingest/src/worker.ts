import { connectProducer } from '@rates/service/kafka'
import { startConsumer, type Consumer } from '@rates/service/kafka-consumer'
import { connectAdmin, type Admin } from '@rates/service/kafka-admin'
import { kafkaSecurity } from '@rates/service/kafka-security'
import { Lease } from '@rates/service/lease'
import { type ReplySettings } from '@rates/service/ledger/finish'
import { type Lifecycle } from '@rates/service/lifecycle'
import { type Logger } from '@rates/service/log'
import { createMetrics } from '@rates/service/metrics'
import { startManagement } from '@rates/service/nest/management.module'
import { measurePools } from '@rates/service/pool-metrics'
import { createPool } from '@rates/service/postgres'
import { groupNames, missingTopics, topicNames } from '@rates/service/topics'
import { watchedPool } from '@rates/service/watched-pool'
import { Catalog } from './catalog.ts'
import { type Settings } from './config.ts'
import { DbWaitSampler } from './db-wait-sampler.ts'
import { RecordIngester } from './ingest-record.ts'
import { mayJoin, TogetherIngester, type Fetched } from './ingest-together.ts'
import { startMaintenance } from './maintenance.ts'
import { ingestMetrics } from './metrics.ts'
import { ObjectDoor } from './object-door.ts'
import { startObjectLoader } from './object-worker.ts'
import { Progress } from './progress.ts'
import { OutboxRelay, whileLeader } from './relay.ts'
import { stageClocks } from './stage-metrics.ts'
import { Sweeper } from './sweeper.ts'
import { startSystemMetrics } from './system-metrics.ts'
import { deadlineOf, Turns, type Lane } from './turns.ts'
import { startWebhooks } from './webhooks.ts'
import { watchedProducer } from './watched-producer.ts'
import { WorkerRecord } from './worker-record.ts'

export interface Worker {
  managementPort: number
  /** Rejects when a consumer has ended by itself: the process has to end. */
  failed: Promise<never>
  /** From now on this worker is not ready. */
  drain(): void
}

/**
 * Puts a worker together and starts it. Everything that it acquires is pushed onto the life cycle, whose stop() unwinds
 * it: consumers first (the chunk in hand is finished), relay and sweeper, then connections, the probes last.
 */
export async function startWorker(settings: Settings, log: Logger, lifecycle: Lifecycle): Promise<Worker> {
  const topics = topicNames(settings.KAFKA_PREFIX)
  const groups = groupNames(settings.KAFKA_PREFIX)
  const lanes: ReadonlyMap<string, string> = new Map([
    [topics.batches, groups.batches],
    [topics.bulk, groups.bulk],
  ])
  const kafka = {
    brokers: settings.KAFKA_BROKERS,
    clientId: settings.WORKER_NAME,
    log,
    security: kafkaSecurity(settings),
  }
  const hasWebhooks = settings.WEBHOOK_URL !== undefined
  const replies: ReplySettings = {
    replies: topics.replies,
    allowed: [topics.replies, ...settings.REPLY_TOPICS],
    webhooks: hasWebhooks ? { publicUrl: settings.PUBLIC_URL } : null,
  }

  const { registry, close: closeMetrics } = createMetrics({
    version: settings.BUILD_VERSION,
    commit: settings.BUILD_COMMIT,
  })
  lifecycle.defer('metrics', closeMetrics)
  const metrics = ingestMetrics(registry)
  const clocks = stageClocks(registry)
  const progress = new Progress(settings.LIVENESS_STALL_SECONDS, () => clocks.fetch.isWaiting)
  const pool = createPool(settings.DATABASE_URL, { name: settings.WORKER_NAME, max: settings.DATABASE_POOL, log })
  measurePools(registry, { ingest: pool })

  let started = false
  const joined = (): void => {
    if (!started) throw new Error('has not joined its consumer groups yet')
  }
  const management = await startManagement({
    host: settings.HOST,
    port: settings.MANAGEMENT_PORT,
    registry,
    // That it answers at all says that the event loop turns.
    live: { progress: () => progress.check() },
    ready: { worker: joined, postgres: () => pool.query('select 1') },
    started: { worker: joined },
    log,
  })
  lifecycle.defer('management', () => management.close())
  lifecycle.defer('postgres', () => pool.end())
  const record = new WorkerRecord(pool, settings.WORKER_NAME, settings.BUILD_VERSION, clocks.read, log)
  record.start()
  lifecycle.defer('the record of this worker', () => record.stop())

  const sampler = startSampler()
  const loopPool = watchedPool(pool, clocks.loop.waiting, (client) => (sampler.client = client))
  const catalog = new Catalog(loopPool)
  await catalog.refresh()
  const admin = await connectAdmin(kafka)
  lifecycle.defer('kafka admin', () => admin.close())
  // And no others: an upgrade may come before the topics that are new in it.
  const hasBuckets = settings.OBJECT_BUCKETS.length > 0
  const needed = [topics.batches, topics.bulk, topics.replies, topics.deadLetters]
  const missing = await missingTopics(admin, hasBuckets ? [...needed, topics.objects] : needed)
  if (missing.length > 0) throw new Error(`topics are missing: ${missing.join(', ')}; create them with "rates topics"`)
  const producer = await connectProducer(kafka)
  lifecycle.defer('kafka producer', () => producer.close())

  startRelay(admin)
  startSweeper(admin)
  startMaintenance(pool, settings, registry, log, lifecycle)
  startWebhooks(pool, settings, metrics, log, lifecycle)
  const { KAFKA_PREFIX: prefix, WORKER_NAME: worker } = settings
  // Nobody reads notifications where there are no buckets.
  const doors = hasBuckets ? (['queries', 'objects'] as const) : (['queries'] as const)
  const read = { lanes, doors: new Map(doors.map((door) => [door, { topic: topics[door], group: groups[door] }])) }
  startSystemMetrics({ pool, admin, read, webhooks: hasWebhooks, prefix, worker, registry, log }, lifecycle)
  const consumers = await startConsumers()
  await startObjectLoader({ settings, pool, kafka, topics, replies, registry, ingest: metrics, log }, lifecycle)
  started = true
  log.info({ managementPort: management.port, ports: catalog.ports.size }, 'worker started')
  return {
    managementPort: management.port,
    failed: Promise.race(consumers.map((each) => each.failed)),
    drain() {
      management.drain()
      metrics.draining.set(1)
      record.stopping()
    },
  }

  function startSampler(): DbWaitSampler {
    const name = `${settings.WORKER_NAME} samples`
    const own = createPool(settings.DATABASE_URL, { name, max: 1, log, statementSeconds: 5 })
    const started = new DbWaitSampler(own, clocks.loop, registry)
    started.start()
    lifecycle.defer('the sampler of waits', () => started.stop())
    return started
  }

  function startRelay(connected: Admin): void {
    const lease = new Lease(pool, `${settings.KAFKA_PREFIX}relay`, settings.WORKER_NAME, log)
    const exists = async (topic: string) => topic === topics.replies || (await connected.topics()).includes(topic)
    const { waiting } = clocks.respond
    const relay = new OutboxRelay(
      watchedPool(pool, waiting),
      watchedProducer(producer, waiting),
      (topic) => waiting('broker', exists(topic)),
      log,
      {
        begins: () => clocks.respond.enter('respond'),
        replies: (outcome, count) => metrics.replies.inc({ outcome }, count),
        delay: (seconds) => metrics.replySeconds.observe(seconds),
      },
    )
    lease.start()
    lifecycle.defer('relay lease', () => lease.stop())
    const step = async (): Promise<number> => {
      const begun = performance.now()
      const sent = await relay.runOnce()
      if (sent > 0) clocks.took('respond', (performance.now() - begun) / 1000)
      return sent
    }
    const loop = whileLeader(lease, 'relay', 100, log, step, clocks.respond)
    lifecycle.defer('relay', () => loop.stop())
  }

  function startSweeper(connected: Admin): void {
    const lease = new Lease(pool, `${settings.KAFKA_PREFIX}sweeper`, settings.WORKER_NAME, log)
    const sweeper = new Sweeper(
      pool,
      connected,
      {
        chunkTimeoutSeconds: settings.CHUNK_TIMEOUT_SECONDS,
        revertWindowDays: settings.REVERT_WINDOW_DAYS,
        replies,
        groups: lanes,
      },
      metrics,
      log,
    )
    lease.start()
    lifecycle.defer('sweeper lease', () => lease.stop())
    const loop = whileLeader(lease, 'sweeper', 1_000, log, async () => {
      await sweeper.runOnce()
      return 0
    })
    lifecycle.defer('sweeper', () => loop.stop())
  }

  async function startConsumers(): Promise<Consumer[]> {
    const { WORKER_NAME: worker, OBJECT_BUCKETS: buckets } = settings
    const ingester = new RecordIngester({
      pool: loopPool,
      producer: watchedProducer(producer, clocks.loop.waiting),
      catalog,
      metrics,
      clock: clocks.loop,
      onRetry: () => progress.made(),
      log,
      worker,
      deadLetters: topics.deadLetters,
      replies,
      buckets,
      revertWindowDays: settings.REVERT_WINDOW_DAYS,
    })
    const together = new TogetherIngester(ingester)
    const turns = new Turns<Fetched>({
      work: (fetched) => {
        for (const { record } of fetched) clocks.took('wait', Math.max(0, Date.now() - record.timestamp) / 1000)
        return together.ingest(fetched)
      },
      mayJoin,
      most: settings.CHUNKS_TOGETHER,
      onRest: () => clocks.loop.rest(),
    })
    const start = (lane: Lane, topic: string, groupId: string): Promise<Consumer> => {
      const watch = clocks.fetch.lane({
        records(bytes, fetchSeconds) {
          metrics.fetched(bytes)
          if (fetchSeconds !== undefined) clocks.took('fetch', fetchSeconds)
        },
        progress: () => progress.made(),
      })
      return startConsumer(kafka, {
        groupId,
        topic,
        sessionSeconds: settings.SESSION_SECONDS,
        onRebalance: (kind) => metrics.rebalances.inc({ kind }),
        urgency: deadlineOf,
        handle: (record, context) => turns.take(lane, deadlineOf(record), { record, context }),
        watch,
      })
    }
    const startObjects = (): Promise<Consumer> => {
      const door = new ObjectDoor({
        pool,
        producer,
        metrics,
        log,
        deadLetters: topics.deadLetters,
        buckets,
      })
      return startConsumer(kafka, {
        groupId: groups.objects,
        topic: topics.objects,
        sessionSeconds: settings.SESSION_SECONDS,
        onRebalance: (kind) => metrics.rebalances.inc({ kind }),
        handle: (record, context) => door.take(record, context),
      })
    }
    // All joins at once; if one fails the others are still unwound.
    const joins = await Promise.allSettled([
      start('fast', topics.batches, groups.batches),
      start('bulk', topics.bulk, groups.bulk),
      ...(buckets.length > 0 ? [startObjects()] : []),
    ])
    const joined = joins.flatMap((join) => (join.status === 'fulfilled' ? [join.value] : []))
    lifecycle.defer('consumers', async () => {
      record.stopping()
      await Promise.all(joined.map((consumer) => consumer.stop()))
    })
    const refused = joins.find((join) => join.status === 'rejected')
    if (refused) throw refused.reason as Error
    return joined
  }
}
