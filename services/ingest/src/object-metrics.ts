import { type Logger } from '@rates/service/log'
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { batchEnded } from './batch-ended.ts'
import { type IngestMetrics } from './metrics.ts'
import { tellConflict, type Bound } from './object-bind.ts'

export const LOAD_OUTCOMES = ['succeeded', 'failed', 'cancelled', 'quarantined'] as const
export type LoadOutcome = (typeof LOAD_OUTCOMES)[number]

/** What is told of loading objects. */
export function objectMetrics(registry: Registry) {
  const registers = [registry]
  const loads = new Counter({
    name: 'rates_object_loads_total',
    help: 'Objects whose batch ended, each counted once by the worker that leads.',
    labelNames: ['outcome'],
    registers,
  })
  const bytes = new Counter({
    name: 'rates_object_bytes_total',
    help: 'Bytes of objects that were read from their store.',
    registers,
  })
  const seconds = new Histogram({
    name: 'rates_object_load_duration_seconds',
    help: 'From an object being taken by a loader to all of its chunks being acknowledged by Kafka.',
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600],
    registers,
  })
  const retries = new Counter({
    name: 'rates_object_load_retries_total',
    help: 'Loads that were left off and are begun again.',
    labelNames: ['reason'],
    registers,
  })
  const tags = new Counter({
    name: 'rates_object_tags_total',
    help: 'Outcomes that were tagged on their object (set), attempts that failed, and tags that were given up.',
    labelNames: ['outcome'],
    registers,
  })
  for (const outcome of LOAD_OUTCOMES) loads.inc({ outcome }, 0)
  for (const reason of ['store', 'refused', 'not_found', 'denied', 'lease_lost', 'crash']) retries.inc({ reason }, 0)
  for (const outcome of ['set', 'failed', 'given_up']) tags.inc({ outcome }, 0)
  return { loads, bytes, seconds, retries, tags }
}

export type ObjectMetrics = ReturnType<typeof objectMetrics>

/** Tells of a request for an object that came to its end before all of the object was sent. */
export function tellBound(bound: Bound, metrics: Pick<IngestMetrics, 'ended' | 'objectRequests'>, log: Logger): void {
  if (bound.kind === 'conflict') tellConflict(bound, metrics, log)
  if (bound.kind !== 'failed') return
  const { batch, error } = bound
  const rows = { accepted: 0, rejected: 0 }
  batchEnded(metrics, log, { ...batch, outcome: 'failed', error: error.code, rows, chunks: null }, { stage: 'load' })
}

/** Of the whole system: only the worker that leads has them in its registry. */
export class WaitingGauges {
  private readonly registry: Registry
  private readonly gauges = [
    new Gauge({ name: 'rates_object_loads_waiting', help: 'Objects that are not sent yet.', registers: [] }),
    new Gauge({
      name: 'rates_object_loads_oldest_timestamp_seconds',
      help: 'Since when the oldest of them waits; 0: there is none.',
      registers: [],
    }),
  ] as const

  constructor(registry: Registry) {
    this.registry = registry
  }

  show({ count, oldest }: { count: number; oldest: number }): void {
    this.hide()
    for (const gauge of this.gauges) this.registry.registerMetric(gauge)
    this.gauges[0].set(count)
    this.gauges[1].set(oldest)
  }

  hide(): void {
    this.registry.removeSingleMetric('rates_object_loads_waiting')
    this.registry.removeSingleMetric('rates_object_loads_oldest_timestamp_seconds')
  }
}
