import { connectProducer, type KafkaSettings } from '@rates/service/kafka'
import { Lease } from '@rates/service/lease'
import { type ReplySettings } from '@rates/service/ledger/finish'
import { type Lifecycle } from '@rates/service/lifecycle'
import { type Logger } from '@rates/service/log'
import { openObjectStore } from '@rates/service/open-object-store'
import { type TopicNames } from '@rates/service/topics'
import type pg from 'pg'
import { type Registry } from 'prom-client'
import { type Settings } from './config.ts'
import { type IngestMetrics } from './metrics.ts'
import { ObjectLoader } from './object-loader.ts'
import { ObjectLoads } from './object-loads.ts'
import { objectMetrics, WaitingGauges } from './object-metrics.ts'
import { ObjectTags } from './object-tags.ts'
import { whileLeader } from './relay.ts'

export interface ObjectWorkerParts {
  settings: Settings
  pool: pg.Pool
  kafka: KafkaSettings
  topics: TopicNames
  replies: ReplySettings
  registry: Registry
  ingest: IngestMetrics
  log: Logger
}

/** Loads objects, where there are buckets to load them from; the store is asked for nothing before there is one to load. */
export async function startObjectLoader(parts: ObjectWorkerParts, lifecycle: Lifecycle): Promise<void> {
  const { settings, pool, kafka, topics, replies, registry, ingest, log } = parts
  const { OBJECT_BUCKETS: buckets, WORKER_NAME: worker } = settings
  if (buckets.length === 0) return
  const store = await openObjectStore(settings)
  lifecycle.defer('object store', () => store.close())
  // Of its own: replies do not wait behind chunks.
  const producer = await connectProducer(kafka)
  lifecycle.defer('kafka producer of objects', () => producer.close())
  const loads = new ObjectLoads(pool, buckets)
  const metrics = objectMetrics(registry)
  startLeader(parts, lifecycle, loads, new ObjectTags(pool, store, buckets, metrics, log), metrics)
  const refusedSeconds = settings.OBJECT_REFUSED_SECONDS
  const deps = { loads, store, buckets, refusedSeconds, producer, topics, replies, metrics, ingest, log }
  const loader = new ObjectLoader(deps, worker, settings.OBJECT_LOADS_AT_ONCE)
  lifecycle.defer('object loader', () => loader.stop())
}

/** Ends the rows of batches that ended, tags their objects, and counts what waits: in one worker. Two are harmless. */
function startLeader(
  { settings, pool, registry, log }: ObjectWorkerParts,
  lifecycle: Lifecycle,
  loads: ObjectLoads,
  tags: ObjectTags,
  metrics: ReturnType<typeof objectMetrics>,
): void {
  const lease = new Lease(pool, `${settings.KAFKA_PREFIX}objects`, settings.WORKER_NAME, log)
  const gauges = new WaitingGauges(registry)
  lease.start()
  lifecycle.defer('objects lease', () => lease.stop())
  const ending = whileLeader(lease, 'ended objects', 1_000, log, async () => {
    for (const outcome of await loads.end()) metrics.loads.inc({ outcome })
    gauges.show(await loads.waiting())
    return 0
  })
  // By itself: a store that is slow keeps nothing else back.
  const tagging = whileLeader(lease, 'tags of objects', 1_000, log, () => tags.runOnce())
  const hiding = setInterval(() => void (lease.mine || gauges.hide()), 1_000)
  lifecycle.defer('ended objects', async () => {
    clearInterval(hiding)
    await Promise.all([ending.stop(), tagging.stop()])
    gauges.hide()
  })
}
