import { connectProducer } from '@rates/service/kafka'
import { startConsumer, type Consumer } from '@rates/service/kafka-consumer'
import { connectAdmin, type Admin } from '@rates/service/kafka-admin'
import { Lease } from '@rates/service/lease'
import { type ReplySettings } from '@rates/service/ledger/finish'
import { type Lifecycle } from '@rates/service/lifecycle'
import { type Logger } from '@rates/service/log'
import { createMetrics } from '@rates/service/metrics'
import { startManagement } from '@rates/service/nest/management.module'
import { measurePools } from '@rates/service/pool-metrics'
import { createPool } from '@rates/service/postgres'
import { groupNames, missingTopics, topicNames } from '@rates/service/topics'
import { Catalog } from './catalog.ts'
import { type Settings } from './config.ts'
import { RecordIngester } from './ingest-record.ts'
import { mayJoin, TogetherIngester, type Fetched } from './ingest-together.ts'
import { startMaintenance } from './maintenance.ts'
import { ingestMetrics } from './metrics.ts'
import { OutboxRelay, whileLeader } from './relay.ts'
import { Sweeper } from './sweeper.ts'
import { deadlineOf, Turns, type Lane } from './turns.ts'

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
  const kafka = { brokers: settings.KAFKA_BROKERS, clientId: settings.WORKER_NAME, log }
  const replies: ReplySettings = { replies: topics.replies, allowed: [topics.replies, ...settings.REPLY_TOPICS] }

  const { registry, close: closeMetrics } = createMetrics({ version: settings.BUILD_VERSION })
  lifecycle.defer('metrics', closeMetrics)
  const metrics = ingestMetrics(registry)
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
    live: {},
    ready: { worker: joined, postgres: () => pool.query('select 1') },
    started: { worker: joined },
    log,
  })
  lifecycle.defer('management', () => management.close())
  lifecycle.defer('postgres', () => pool.end())

  const catalog = new Catalog(pool)
  await catalog.refresh()
  const admin = await connectAdmin(kafka)
  lifecycle.defer('kafka admin', () => admin.close())
  const missing = await missingTopics(admin, settings.KAFKA_PREFIX)
  if (missing.length > 0) throw new Error(`topics are missing: ${missing.join(', ')}; create them with "rates topics"`)
  const producer = await connectProducer(kafka)
  lifecycle.defer('kafka producer', () => producer.close())

  startRelay(admin)
  startSweeper(admin)
  startMaintenance(pool, settings, registry, log, lifecycle)
  const consumers = await startConsumers()
  started = true
  log.info({ managementPort: management.port, ports: catalog.ports.size }, 'worker started')
  return {
    managementPort: management.port,
    failed: Promise.race(consumers.map((each) => each.failed)),
    drain: management.drain,
  }

  function startRelay(connected: Admin): void {
    const lease = new Lease(pool, `${settings.KAFKA_PREFIX}relay`, settings.WORKER_NAME, log)
    const exists = async (topic: string) => topic === topics.replies || (await connected.topics()).includes(topic)
    const relay = new OutboxRelay(pool, producer, exists, log)
    lease.start()
    lifecycle.defer('relay lease', () => lease.stop())
    const loop = whileLeader(lease, 'relay', 100, log, async () => {
      const sent = await relay.runOnce()
      metrics.replies.inc(sent)
      return sent
    })
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
        groups: new Map([
          [topics.batches, groups.batches],
          [topics.bulk, groups.bulk],
        ]),
      },
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
    const worker = settings.WORKER_NAME
    const ingester = new RecordIngester({
      pool,
      producer,
      catalog,
      metrics,
      log,
      worker,
      deadLetters: topics.deadLetters,
      replies,
      revertWindowDays: settings.REVERT_WINDOW_DAYS,
    })
    const together = new TogetherIngester(ingester)
    const turns = new Turns<Fetched>({
      work: (fetched) => together.ingest(fetched),
      mayJoin,
      most: settings.CHUNKS_TOGETHER,
    })
    const start = (lane: Lane, topic: string, groupId: string): Promise<Consumer> =>
      startConsumer(kafka, {
        groupId,
        topic,
        sessionSeconds: settings.SESSION_SECONDS,
        onRebalance: (kind) => metrics.rebalances.inc({ kind }),
        urgency: deadlineOf,
        handle: (record, context) => turns.take(lane, deadlineOf(record), { record, context }),
      })
    // Both joins at once; if one fails the other is still unwound.
    const joins = await Promise.allSettled([
      start('fast', topics.batches, groups.batches),
      start('bulk', topics.bulk, groups.bulk),
    ])
    const joined = joins.flatMap((join) => (join.status === 'fulfilled' ? [join.value] : []))
    lifecycle.defer('consumers', async () => void (await Promise.all(joined.map((consumer) => consumer.stop()))))
    const refused = joins.find((join) => join.status === 'rejected')
    if (refused) throw refused.reason as Error
    return joined
  }
}
