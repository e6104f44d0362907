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
import { ObjectEnds } from './object-ends.ts'
import { ObjectLoader } from './object-loader.ts'
import { ObjectLoads } from './object-loads.ts'
import { objectMetrics, tellBound, WaitingGauges, type ObjectMetrics } from './object-metrics.ts'
import { ObjectTags } from './object-tags.ts'
import { whileLeader } from './relay.ts'

/** Many rows may wait: the leader rests so many times as long as looking took, within bounds. */
const RESTS = 20
const LONGEST_REST_MILLISECONDS = 5_000
const CLAIM_MILLISECONDS = 5_000

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

/**
 * Loads objects, where there are buckets to load them from; the store is asked for nothing before there is one to load.
 * What asked for objects is ended where there are none, too: the list may have been emptied.
 */
export async function startObjectLoader(parts: ObjectWorkerParts, lifecycle: Lifecycle): Promise<void> {
  const { settings, pool, kafka, topics, replies, registry, ingest, log } = parts
  const { OBJECT_BUCKETS: buckets, WORKER_NAME: worker } = settings
  const metrics = objectMetrics(registry)
  const ends = new ObjectEnds(pool, buckets, replies)
  startEnds(parts, lifecycle, ends, metrics)
  if (buckets.length === 0) return
  startClaiming(ends, lifecycle, log)
  const store = await openObjectStore(settings)
  lifecycle.defer('object store', () => store.close())
  startTags(parts, lifecycle, new ObjectTags(pool, store, buckets, metrics, log))
  // Of its own: replies do not wait behind chunks.
  const producer = await connectProducer(kafka)
  lifecycle.defer('kafka producer of objects', () => producer.close())
  const loads = new ObjectLoads(pool, buckets)
  const refusedSeconds = settings.OBJECT_REFUSED_SECONDS
  const deps = { loads, store, refusedSeconds, producer, topics, replies, metrics, ingest, log }
  const loader = new ObjectLoader(deps, worker, settings.OBJECT_LOADS_AT_ONCE)
  lifecycle.defer('object loader', () => loader.stop())
}

/** Ends the rows of batches that ended and of buckets that nobody has, and counts what waits: in one worker. Two are harmless. */
function startEnds(
  { settings, pool, registry, ingest, log }: ObjectWorkerParts,
  lifecycle: Lifecycle,
  ends: ObjectEnds,
  metrics: ObjectMetrics,
): void {
  const lease = new Lease(pool, `${settings.KAFKA_PREFIX}objects`, settings.WORKER_NAME, log)
  const gauges = new WaitingGauges(registry)
  lease.start()
  lifecycle.defer('objects lease', () => lease.stop())
  let restUntil = 0
  const ending = whileLeader(lease, 'ended objects', 1_000, log, async () => {
    const begun = performance.now()
    if (begun < restUntil) return 0
    for (const outcome of await ends.end()) metrics.loads.inc({ outcome })
    for (const foreign of await ends.failForeign()) tellBound(foreign, ingest, log)
    gauges.show(await ends.waiting())
    const ended = performance.now()
    restUntil = ended + Math.min(RESTS * (ended - begun), LONGEST_REST_MILLISECONDS)
    return 0
  })
  const hiding = setInterval(() => void (lease.mine || gauges.hide()), 1_000)
  lifecycle.defer('ended objects', async () => {
    clearInterval(hiding)
    await ending.stop()
    gauges.hide()
  })
}

/** By itself: a store that is slow keeps nothing else back, and whoever ends rows may have no store. */
function startTags({ settings, pool, log }: ObjectWorkerParts, lifecycle: Lifecycle, tags: ObjectTags): void {
  const lease = new Lease(pool, `${settings.KAFKA_PREFIX}object-tags`, settings.WORKER_NAME, log)
  lease.start()
  lifecycle.defer('lease of tags', () => lease.stop())
  const tagging = whileLeader(lease, 'tags of objects', 1_000, log, () => tags.runOnce())
  lifecycle.defer('tags of objects', () => tagging.stop())
}

function startClaiming(ends: ObjectEnds, lifecycle: Lifecycle, log: Logger): void {
  let claiming: Promise<void> | undefined
  const claim = (): void => {
    claiming ??= ends
      .claimOurs()
      .catch((error: unknown) => log.warn({ err: error }, 'could not say which objects are ours'))
      .finally(() => (claiming = undefined))
  }
  const timer = setInterval(claim, CLAIM_MILLISECONDS)
  lifecycle.defer('objects that are ours', async () => {
    clearInterval(timer)
    await claiming
  })
}
