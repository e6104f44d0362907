import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** What a round through the index of packs saw. */
export interface Round {
  packs: number
  crowdedMonths: number
  crowdedPacks: number
  seconds: number
  hiddenBatches: number
}

/** What the worker that holds the lease counts of merging and retention; docs/metrics.md lists all. */
export function maintenanceMetrics(registry: Registry) {
  const registers = [registry]
  const packs = new Counter({
    name: 'rates_merge_packs_total',
    help: 'Small packs that were merged, and the packs that came of it.',
    labelNames: ['kind'],
    registers,
  })
  for (const kind of ['merged', 'written']) packs.inc({ kind }, 0)
  const prices = new Counter({ name: 'rates_merge_prices_total', help: 'Prices that merging has moved.', registers })
  const seconds = new Histogram({
    name: 'rates_merge_step_duration_seconds',
    help: 'One transaction of merging.',
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers,
  })
  const refused = new Counter({
    name: 'rates_merge_refused_total',
    help: 'Pair-months that were left as they are, for a pack that cannot be read.',
    registers,
  })
  const stored = new Gauge({ name: 'rates_packs', help: 'Packs, at the last round of merging.', registers })
  const waiting = new Gauge({
    name: 'rates_merge_crowded_packs',
    help: 'Packs of pair-months with eight packs or more, at the last round: what was to be merged, was too young, or was full.',
    registers,
  })
  const crowded = new Gauge({ name: 'rates_merge_crowded_months', help: 'Those pair-months.', registers })
  const counting = new Gauge({
    name: 'rates_merge_round_seconds',
    help: 'What counting all packs took in the last round.',
    registers,
  })
  const hidden = new Gauge({
    name: 'rates_hidden_batches',
    help: 'Batches that every read filters out, at the last round: loading, failed, reverted, replaced.',
    registers,
  })
  const trimmed = new Counter({
    name: 'rates_retention_packs_total',
    help: 'Packs that went because their month is older than prices are kept.',
    registers,
  })
  const forgotten = new Counter({
    name: 'rates_retention_batches_total',
    help: 'Batches that went from the ledger with their chunks and replies.',
    registers,
  })
  const last = new Gauge({
    name: 'rates_maintenance_last_success_timestamp_seconds',
    help: 'When the last round ended.',
    labelNames: ['task'],
    registers,
  })
  return {
    merged(step: { removed: number; written: number; prices: number }, took: number): void {
      packs.inc({ kind: 'merged' }, step.removed)
      packs.inc({ kind: 'written' }, step.written)
      prices.inc(step.prices)
      if (step.removed > 0) seconds.observe(took)
    },
    refused: () => refused.inc(),
    trimmed: (count: number) => trimmed.inc(count),
    round(round: Round): void {
      stored.set(round.packs)
      crowded.set(round.crowdedMonths)
      waiting.set(round.crowdedPacks)
      counting.set(round.seconds)
      hidden.set(round.hiddenBatches)
      last.setToCurrentTime({ task: 'merge' })
    },
    forgotten: (count: number) => forgotten.inc(count),
    ledgerRound: () => last.setToCurrentTime({ task: 'ledger' }),
  }
}

export type MaintenanceMetrics = ReturnType<typeof maintenanceMetrics>
