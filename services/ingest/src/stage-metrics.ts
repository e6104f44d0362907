import { LOOP_STAGES, STAGES, type LoopStage, type Stage, type WorkerSeconds } from '@rates/core/bottleneck'
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { FetchClock } from './fetch-clock.ts'
import { LoopClock } from './loop-clock.ts'

/** The clocks of a worker's stages. */
export interface StageClocks {
  fetch: FetchClock
  loop: LoopClock<LoopStage>
  respond: LoopClock<'respond'>
  read(): WorkerSeconds
  /** A stay in a stage that has no clock of its own, or one whose clock does not tell each. */
  took(stage: Stage | 'wait', seconds: number): void
}

/** Makes the clocks, and exports what they say: docs/metrics.md has the model. */
export function stageClocks(registry: Registry): StageClocks {
  const registers = [registry]
  const duration = new Histogram({
    name: 'rates_ingest_stage_duration_seconds',
    help: 'One stay in the stage, with its waits; wait: from the record being in Kafka to it being taken.',
    labelNames: ['stage'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
    registers,
  })
  for (const stage of [...STAGES, 'wait']) duration.zero({ stage })
  const took = (stage: Stage | 'wait', seconds: number): void => duration.observe({ stage }, seconds)
  const fetch = new FetchClock()
  const loop = new LoopClock({ stages: LOOP_STAGES, onLeft: took })
  // It is on in the one worker that is the relay.
  const respond = new LoopClock({ stages: ['respond'] })
  respond.off()
  const read = (): WorkerSeconds => ({ fetch: fetch.read(), ...loop.read(), ...respond.read() })

  const labelNames = ['stage'] as const
  const idle = new Counter({
    name: 'rates_ingest_stage_idle_seconds_total',
    help: 'Time in which the stage had nothing to do.',
    labelNames,
    registers: [],
  })
  const blocked = new Counter({
    name: 'rates_ingest_stage_blocked_seconds_total',
    help: 'Time in which the stage waited, and for what.',
    labelNames: ['stage', 'on'],
    registers: [],
  })
  const workers = new Gauge({
    name: 'rates_ingest_stage_workers',
    help: 'Workers of the stage in this process: each is busy, blocked or idle.',
    labelNames,
    registers: [],
  })
  new Counter({
    name: 'rates_ingest_stage_busy_seconds_total',
    help: 'Time in which the stage worked.',
    labelNames,
    registers,
    // It comes first, and reads for all: the four are of one moment.
    collect() {
      for (const counter of [this, idle, blocked]) counter.reset()
      for (const [stage, seconds] of Object.entries(read())) {
        this.inc({ stage }, seconds.busy)
        idle.inc({ stage }, seconds.idle)
        for (const [on, waited] of Object.entries(seconds.blocked)) blocked.inc({ stage, on }, waited)
        workers.set({ stage }, stage === 'respond' && !respond.isOn ? 0 : 1)
      }
    },
  })
  for (const metric of [idle, blocked, workers]) registry.registerMetric(metric)
  return { fetch, loop, respond, read, took }
}
